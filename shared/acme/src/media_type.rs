//! The media types of RFC 8555.

use crate::jws::JwsError;

/// A signed request (RFC 8555 §6.2).
pub const JOSE_JSON: &str = "application/jose+json";
/// A problem document (RFC 7807 §6.1).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// A certificate and its chain (RFC 8555 §9.1).
pub const PEM_CHAIN: &str = "application/pem-certificate-chain";

/// Whether a request's `Content-Type` is the one that is due; parameters and case do not count.
///
/// # Errors
/// [`JwsError::ContentType`], which goes with status 415 (RFC 8555 §6.2).
pub fn require_jose_json(content_type: Option<&str>) -> Result<(), JwsError> {
    let given = content_type.unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(JOSE_JSON) {
        Ok(())
    } else {
        Err(JwsError::ContentType)
    }
}
