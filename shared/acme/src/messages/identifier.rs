//! Identifiers as they are written (RFC 8555 §9.7.7, RFC 8738): `{"type": "dns", "value": "*.example.org"}`.

use certfleet_domain::{self as domain, Problem, ProblemKind};
use serde::{Deserialize, Serialize};

use crate::json::excerpt;

/// A DNS name (RFC 8555 §9.7.7).
const DNS: &str = "dns";
/// An IP address (RFC 8738 §3).
const IP: &str = "ip";

/// An identifier as it is written, of any type and with any value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// `dns`, `ip` or another.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name or address. In orders a wildcard has its `*.`; in authorizations it has not.
    pub value: String,
}

impl Identifier {
    fn new(kind: &str, value: String) -> Self {
        Self {
            kind: kind.to_owned(),
            value,
        }
    }

    /// The identifier of an authorization, where a wildcard is the base name beside `"wildcard": true`
    /// (RFC 8555 §7.1.4).
    pub fn in_authorization(identifier: &domain::Identifier) -> Self {
        match identifier.dns_name() {
            Some(name) => Self::new(DNS, name.to_string()),
            None => Self::from(identifier),
        }
    }

    /// What it names.
    ///
    /// # Errors
    /// `unsupportedIdentifier` for a type other than `dns` and `ip`, `malformed` for a value that is not one of its
    /// type.
    pub fn parse(&self) -> Result<domain::Identifier, Problem> {
        let parsed = if self.kind == DNS {
            domain::Identifier::dns(&self.value)
        } else if self.kind == IP {
            domain::Identifier::ip(&self.value)
        } else {
            let detail = format!(
                "the identifier type {:?} is not supported: \"dns\" or \"ip\" is due",
                excerpt(&self.kind)
            );
            return Err(Problem::new(ProblemKind::UnsupportedIdentifier, detail));
        };
        parsed.map_err(|error| Problem::new(ProblemKind::Malformed, error.to_string()))
    }
}

/// The identifier of an order.
impl From<&domain::Identifier> for Identifier {
    fn from(identifier: &domain::Identifier) -> Self {
        let kind = match identifier {
            domain::Identifier::Dns(_) | domain::Identifier::Wildcard(_) => DNS,
            domain::Identifier::Ip(_) => IP,
        };
        Self::new(kind, identifier.to_string())
    }
}
