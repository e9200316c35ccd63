//! `validation`: how control of a name is checked.

use std::time::Duration;

use serde::Deserialize;

use super::networks::Networks;
use super::section::{Complaint, Section, require};
use super::text::{Resolver, list, text};

/// How control of a name is checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// Private, loopback and link-local networks that may be connected to all the same.
    pub allow_networks: Networks,
    /// The port of http-01; 80 in the open internet (RFC 8555 §8.3).
    pub http_port: u16,
    /// The port of tls-alpn-01; 443 in the open internet (RFC 8737 §3).
    pub tls_alpn_port: u16,
    /// The DNS servers to ask; none named means those of the system.
    #[serde(deserialize_with = "list")]
    pub resolvers: Vec<Resolver>,
    /// The longest one attempt may take.
    #[serde(deserialize_with = "text")]
    pub timeout: Duration,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            allow_networks: Networks::default(),
            http_port: 80,
            tls_alpn_port: 443,
            resolvers: Vec::new(),
            timeout: Duration::from_secs(10),
        }
    }
}

impl Section for Validation {
    const NAME: &'static str = "validation";

    fn check(&self) -> Result<(), Complaint> {
        let port = "1 to 65535 is due";
        require(self.http_port != 0, "http_port", port)?;
        require(self.tls_alpn_port != 0, "tls_alpn_port", port)?;
        require(
            (1..=60).contains(&self.timeout.as_secs()),
            "timeout",
            "1s to 60s is due",
        )
    }
}
