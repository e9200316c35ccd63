//! A chain that another authority has sent.

use certfleet_acme::CertId;
use certfleet_domain::{Attempt, Current, Identifier, Timestamp};
use certfleet_pki::{Leaf, Signer as _};
use certfleet_signer::InternalKey;

/// What came, held against what was asked for: a stranger sent it.
pub fn read_chain(
    chain: &str,
    attempt: &Attempt,
    key: &InternalKey,
    names: &[Identifier],
    now: Timestamp,
) -> Result<Current, String> {
    let leaf = Leaf::of_chain(chain).map_err(|error| format!("what came: {error}"))?;
    if leaf.not_after <= now {
        return Err("the certificate that came has expired already".to_owned());
    }
    if leaf.spki != key.spki_der() {
        return Err("the certificate that came is for another key".to_owned());
    }
    if leaf.names != names {
        let its: Vec<String> = leaf.names.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the certificate that came is for {}",
            its.join(", ")
        ));
    }
    Ok(Current {
        version: attempt.version,
        upstream: attempt.upstream.clone(),
        cert_id: CertId::of(leaf.issuer_key, &leaf.serial),
        serial: hex::encode(leaf.serial),
        names: leaf.names,
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        advice: None,
        ask_at: now,
    })
}
