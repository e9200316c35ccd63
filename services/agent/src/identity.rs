//! The certificate by which the API knows the agent. The agent makes it, with its key, and nobody signs it but itself: the API
//! knows it by its fingerprint.

use anyhow::Context as _;
use certfleet_domain::{AgentName, Clock as _, SystemClock, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::Duration;
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::state::State;

/// How long it is valid.
const LIFETIME: Duration = Duration::days(30);
/// So far clocks may be apart.
const BACKDATED: Duration = Duration::minutes(5);

/// What the agent shows: chain and key in one file, so that they are exchanged together.
pub const SHOWN: &str = "identity.pem";
/// What it is about to show, and has not announced yet or not been told so.
pub const NEXT: &str = "identity-next.pem";
/// What it enrols with, until that is done.
pub const ENROLLING: &str = "identity-enrolling.pem";

/// Makes one, under this file's name.
pub fn make(state: &State, file: &str, name: &AgentName) -> anyhow::Result<()> {
    let key = KeyPair::generate().context("the agent's key")?;
    let now = SystemClock.now();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, name.as_str());
    params.not_before = now - BACKDATED;
    params.not_after = now + LIFETIME;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params
        .self_signed(&key)
        .context("the agent's certificate")?;
    let text = Zeroizing::new(format!("{}{}", certificate.pem(), key.serialize_pem()));
    state.put(file, text.as_bytes())
}

/// The certificate in this file, PEM; `None` if there is no such file.
pub fn certificate(state: &State, file: &str) -> anyhow::Result<Option<String>> {
    let Some(content) = state.get(file)? else {
        return Ok(None);
    };
    let content = Zeroizing::new(String::from_utf8(content).context(file.to_owned())?);
    // The key stands behind it.
    let end = content.find("-----BEGIN PRIVATE KEY-----");
    let certificate = content.get(..end.context(file.to_owned())?);
    Ok(certificate.map(str::to_owned))
}

/// When the agent is to make another: when two thirds of its life are over.
pub fn renew_at(certificate: &str) -> anyhow::Result<Timestamp> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let (_, parsed) = parse_x509_certificate(&der)?;
    let validity = parsed.validity();
    let (start, end) = (
        validity.not_before.to_datetime(),
        validity.not_after.to_datetime(),
    );
    Ok(end - (end - start) / 3)
}
