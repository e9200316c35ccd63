//! dns-01 (RFC 8555 §8.4): a TXT record at `_acme-challenge` with the digest of the key authorization.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certfleet_domain::{DnsName, ProblemKind};

use crate::deadline::Deadline;
use crate::error::ValidationError;
use crate::evidence::Evidence;
use crate::quote::quoted;
use crate::resolve::Resolver;

/// The most values that a problem shows.
const SHOWN: usize = 5;

/// Looks for the record of this key authorization. Any one record of the name will do; `CNAME`s are followed.
pub(crate) async fn prove(
    resolver: &Resolver,
    name: &DnsName,
    key_authorization: &str,
    deadline: Deadline,
) -> Result<Evidence, ValidationError> {
    let expected = URL_SAFE_NO_PAD.encode(digest(&SHA256, key_authorization.as_bytes()));
    let name = format!("_acme-challenge.{name}");
    let texts = resolver.texts(&name, deadline).await?;
    if texts.iter().any(|text| text == expected.as_bytes()) {
        let records = texts.len();
        return Ok(Evidence::Dns01 { name, records });
    }
    let shown: Vec<String> = texts.iter().take(SHOWN).map(|text| quoted(text)).collect();
    let more = match texts.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let detail = format!(
        "no TXT record of {name} is \"{expected}\", which is due; found {}{more}. Old records may be cached: wait for \
         their TTL before the next try",
        shown.join(", "),
    );
    Err(ValidationError::failed(
        ProblemKind::IncorrectResponse,
        detail,
    ))
}

#[cfg(test)]
mod tests;
