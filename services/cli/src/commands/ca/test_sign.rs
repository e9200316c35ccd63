//! `certfleet ca test-sign`: proof that an authority can sign, with a key and names that are thrown away.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certfleet_data_kit::tokens;
use certfleet_domain::{
    Authority, AuthorityName, Clock, Identifier, Profile, Serial, SystemClock, SystemRng,
};
use certfleet_pki::{
    CertificateTemplate, CheckedCsr, Signer, check_hierarchy, create_csr, issue, within_issuer,
};
use certfleet_secrets::Purpose;
use certfleet_signer::{InternalKey, KeyAlgorithm, SigningKey};
use certfleet_storage::SecretName;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::find;
use crate::connection::{settings, store, vault};
use crate::failure::Failure;
use crate::output::Output;

/// A name that never resolves (RFC 6761 §6.4): the certificate is of no use to anyone.
const NAME: &str = "test-sign.invalid";

#[derive(Serialize)]
struct Answer {
    authority: String,
    opened_in_ms: f64,
    /// Where it is.
    key: String,
    chain: &'static str,
    profiles: Vec<Trial>,
}

#[derive(Serialize)]
struct Trial {
    profile: String,
    octets: usize,
    signed_in_ms: f64,
}

/// Signs a throw-away certificate with each of the authority's profiles.
pub async fn run(
    name: &AuthorityName,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let vault = vault(&store, &settings).await?;
    let authority = find(&store, name).await?;
    let began = Instant::now();
    let secret = SecretName::IssuerKey(authority.issuer.id);
    let secret = vault.require(&secret, Purpose::SignCertificate).await?;
    let key = SigningKey::read(
        &Zeroizing::new(secret.expose().to_vec()),
        tokens(&settings.pkcs11).as_ref(),
        Arc::new(SystemClock),
    )?;
    let opened_in_ms = milliseconds(began.elapsed());
    let answer = spawn_blocking(move || {
        Ok::<_, anyhow::Error>(Answer {
            authority: authority.name.to_string(),
            opened_in_ms,
            key: key.place(),
            chain: check_chain(&authority, &key)?,
            profiles: authority
                .profiles
                .iter()
                .map(|profile| sign(&authority, profile, &key))
                .collect::<Result<_, _>>()?,
        })
    })
    .await??;
    out.show(&answer, |sheet| {
        sheet.line(format_args!(
            "{name} signs; its key opened in {:.1} ms and its chain is {}; nothing was stored",
            answer.opened_in_ms, answer.chain
        ));
        sheet.line(format_args!("its key is {}", answer.key));
        let rows = answer.profiles.iter().map(|trial| {
            [
                trial.profile.clone(),
                format!("{:.1} ms", trial.signed_in_ms),
                format!("{} octets", trial.octets),
            ]
        });
        sheet.table(["profile", "signed in", "certificate"], rows);
    })
}

fn check_chain(authority: &Authority, key: &dyn Signer) -> anyhow::Result<&'static str> {
    let issuer = &authority.issuer;
    let (root, above) = (&issuer.root, &issuer.intermediates);
    check_hierarchy(root, above, &issuer.certificate, key, SystemClock.now())?;
    Ok("valid")
}

/// Signs as a worker does; [`issue`] reads back what it signed and verifies it with the issuer's certificate.
fn sign(authority: &Authority, profile: &Profile, key: &dyn Signer) -> anyhow::Result<Trial> {
    let names = [Identifier::dns(NAME)?];
    let subject = InternalKey::generate(KeyAlgorithm::EcdsaP256)?;
    let csr = CheckedCsr::parse(&create_csr(&names, &subject)?, &names)?;
    let wished = profile.validity(SystemClock.now(), None, None);
    let (not_before, not_after) = within_issuer(wished, &authority.issuer.certificate)?;
    let template = CertificateTemplate {
        serial: Serial::generate(&mut SystemRng),
        not_before,
        not_after,
        identifiers: &names,
        spki_der: csr.spki_der(),
        profile,
        must_staple: csr.must_staple(),
        crl_url: None,
        issuer_url: None,
        ocsp_url: None,
    };
    let began = Instant::now();
    let der = issue(&template, &authority.issuer.certificate, key)?;
    Ok(Trial {
        profile: profile.name.to_string(),
        octets: der.len(),
        signed_in_ms: milliseconds(began.elapsed()),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Plan;

    #[test]
    fn a_key_that_is_not_the_issuers_is_found_out() {
        let name = "default".parse().unwrap();
        let made = Plan::default().make(name, None, &SystemClock, &mut SystemRng);
        let authority = made.unwrap().authority;
        let other = InternalKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        assert!(check_chain(&authority, &other).is_err());
        assert!(sign(&authority, &authority.profiles[0], &other).is_err());
    }
}
