//! Revocation (RFC 8555 §7.6).

use certfleet_domain::{Problem, ProblemKind, RevocationReason};
use serde::{Deserialize, Serialize};

use crate::base64url::Base64Url;

/// The payload of revokeCert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeCertificate {
    /// The certificate in DER.
    pub certificate: Base64Url,
    /// A `CRLReason` code (RFC 5280 §5.3.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<i64>,
}

impl RevokeCertificate {
    /// The reason; unspecified if none is given.
    ///
    /// # Errors
    /// `badRevocationReason` for a code that clients may not give.
    pub fn reason(&self) -> Result<RevocationReason, Problem> {
        let Some(code) = self.reason else {
            return Ok(RevocationReason::Unspecified);
        };
        RevocationReason::from_code(code).ok_or_else(|| {
            let detail = format!("the reason code {code} is not allowed: 0, 1, 3, 4 or 5 is due");
            Problem::new(ProblemKind::BadRevocationReason, detail)
        })
    }
}
