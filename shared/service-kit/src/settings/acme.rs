//! `acme`: what the ACME server tells its clients, and how long things last.

use std::time::Duration;

use certfleet_domain::{AuthorityName, DnsName};
use serde::Deserialize;

use super::section::{Complaint, Section, require};
use super::text::{FromText, list, parse, text};
use super::urls::WebUrl;

/// What the ACME server tells its clients, and how long things last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// The authority behind `/directory`.
    #[serde(deserialize_with = "text")]
    pub default_authority: AuthorityName,
    /// The terms of service that a new account must agree to (RFC 8555 §7.1.1).
    pub terms_of_service: Option<WebUrl>,
    /// The authority's web site (RFC 8555 §7.1.1).
    pub website: Option<WebUrl>,
    /// The names by which CAA records allow this authority to issue (RFC 8659 §4.2).
    #[serde(deserialize_with = "list")]
    pub caa_identities: Vec<DnsName>,
    /// How long a nonce can be used.
    #[serde(deserialize_with = "text")]
    pub nonce_lifetime: Duration,
    /// How long an order may take until it is finalized.
    #[serde(deserialize_with = "text")]
    pub order_lifetime: Duration,
    /// How long an authorization may take until it is proven.
    #[serde(deserialize_with = "text")]
    pub pending_authorization_lifetime: Duration,
    /// How long a proven authorization can be used.
    #[serde(deserialize_with = "text")]
    pub authorization_lifetime: Duration,
    /// How long an answer waits for the worker's result before it says `processing`.
    #[serde(deserialize_with = "text")]
    pub answer_wait: Duration,
    /// What `Retry-After` says while there is no result yet.
    #[serde(deserialize_with = "text")]
    pub retry_after: Duration,
    /// When a client that has asked for renewal information is to ask again (RFC 9773 §4.3.1).
    #[serde(deserialize_with = "text")]
    pub renewal_info_retry_after: Duration,
}

impl Default for Acme {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            default_authority: default_authority(),
            terms_of_service: None,
            website: None,
            caa_identities: Vec::new(),
            nonce_lifetime: Duration::from_secs(3600),
            order_lifetime: days(7),
            pending_authorization_lifetime: days(7),
            authorization_lifetime: days(30),
            answer_wait: Duration::from_secs(5),
            retry_after: Duration::from_secs(3),
            renewal_info_retry_after: Duration::from_secs(21_600),
        }
    }
}

#[expect(clippy::expect_used, reason = "a literal")]
fn default_authority() -> AuthorityName {
    "default".parse().expect("it is a short name")
}

impl FromText for AuthorityName {
    fn from_text(text: &str) -> Result<Self, String> {
        parse(text)
    }
}

impl FromText for DnsName {
    fn from_text(text: &str) -> Result<Self, String> {
        parse(text)
    }
}

impl Section for Acme {
    const NAME: &'static str = "acme";

    fn check(&self) -> Result<(), Complaint> {
        let minute = Duration::from_secs(60);
        for (lifetime, key) in [
            (self.nonce_lifetime, "nonce_lifetime"),
            (self.order_lifetime, "order_lifetime"),
            (
                self.pending_authorization_lifetime,
                "pending_authorization_lifetime",
            ),
            (self.authorization_lifetime, "authorization_lifetime"),
        ] {
            require(lifetime >= minute, key, "at least 1m is due")?;
        }
        // Spent nonces are remembered for this long and a margin.
        require(
            self.nonce_lifetime <= Duration::from_secs(7200),
            "nonce_lifetime",
            "at most 2h is due",
        )?;
        // The header counts whole seconds (RFC 9110 §10.2.3).
        let second = Duration::from_secs(1);
        require(
            self.retry_after >= second,
            "retry_after",
            "at least 1s is due",
        )?;
        // What clients keep to (RFC 9773 §4.3.2).
        require(
            (minute..=Duration::from_secs(86_400)).contains(&self.renewal_info_retry_after),
            "renewal_info_retry_after",
            "1m to 1d is due",
        )
    }
}
