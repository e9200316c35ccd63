//! The ACME objects, as far as a client reads them (RFC 8555 §7.1).

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_field_names,
    reason = "they are the names of RFC 8555 §7.1.1"
)]
pub(crate) struct Directory {
    pub(crate) new_nonce: String,
    pub(crate) new_account: String,
    pub(crate) new_order: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    pub(crate) status: Status,
    pub(crate) authorizations: Vec<String>,
    pub(crate) finalize: String,
    pub(crate) certificate: Option<String>,
    pub(crate) error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Authorization {
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) challenges: Vec<Challenge>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Challenge {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) url: String,
    /// Absent for challenge types that have none.
    pub(crate) token: Option<String>,
    pub(crate) error: Option<Problem>,
}

/// The states of all objects together: a client only asks whether to go on, to wait or to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
    Deactivated,
    Expired,
    Revoked,
}

/// RFC 9457, with the types of RFC 8555 §6.7.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Problem {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) detail: String,
}

impl Problem {
    /// The type without its namespace: `badNonce`.
    pub(crate) fn name(&self) -> &str {
        self.kind
            .strip_prefix("urn:ietf:params:acme:error:")
            .unwrap_or(&self.kind)
    }
}
