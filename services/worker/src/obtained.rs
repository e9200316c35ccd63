//! A chain that another authority has sent.

use certfleet_acme::CertId;
use certfleet_domain::{Attempt, Current, Identifier, Timestamp};
use certfleet_pki::{
    Signer as _, authority_key_identifier, certificates_from_pem, names_of_certificate,
    serial_of_certificate, spki_of_certificate, validity_of_certificate,
};
use certfleet_signer::InternalKey;

/// What came, held against what was asked for: a stranger sent it.
pub fn read_chain(
    chain: &str,
    attempt: &Attempt,
    key: &InternalKey,
    names: &[Identifier],
    now: Timestamp,
) -> Result<Current, String> {
    let strange = |error: &dyn std::fmt::Display| format!("what came is no chain: {error}");
    let ders = certificates_from_pem(chain).map_err(|error| strange(&error))?;
    let leaf = ders.first().ok_or("what came is an empty chain")?;
    let (not_before, not_after) = validity_of_certificate(leaf).map_err(|error| strange(&error))?;
    if not_after <= now {
        return Err("the certificate that came has expired already".to_owned());
    }
    let public_key = spki_of_certificate(leaf).map_err(|error| strange(&error))?;
    if public_key != key.spki_der() {
        return Err("the certificate that came is for another key".to_owned());
    }
    let its = names_of_certificate(leaf).map_err(|error| strange(&error))?;
    if its != names {
        let its: Vec<String> = its.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the certificate that came is for {}",
            its.join(", ")
        ));
    }
    let serial = serial_of_certificate(leaf).map_err(|error| strange(&error))?;
    let cert_id = authority_key_identifier(leaf).ok().map(|key_identifier| {
        let serial = serial.clone();
        CertId {
            key_identifier,
            serial,
        }
        .to_string()
    });
    Ok(Current {
        version: attempt.version,
        upstream: attempt.upstream.clone(),
        cert_id,
        serial: hex::encode(serial),
        names: its,
        not_before,
        not_after,
        advice: None,
        ask_at: now,
    })
}
