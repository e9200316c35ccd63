//! `revocation`: what relying parties are told of revoked certificates.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::section::{Complaint, Section, require};
use super::text::text;
use super::urls::ExternalUrl;

/// What relying parties are told of revoked certificates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revocation {
    /// The URL under which relying parties reach the API over plain HTTP; it stands in certificates. Without one,
    /// certificates name neither CRL nor OCSP responder, and none are signed.
    pub url: Option<ExternalUrl>,
    /// Where the API listens for them, beside `server.listen`.
    pub listen: Option<ListenAddress>,
    /// How long relying parties may go by a CRL.
    #[serde(deserialize_with = "text")]
    pub crl_lifetime: Duration,
    /// How long they may go by an OCSP answer.
    #[serde(deserialize_with = "text")]
    pub ocsp_lifetime: Duration,
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ListenAddress(#[serde(deserialize_with = "text")] pub SocketAddr);

impl Default for Revocation {
    fn default() -> Self {
        Self {
            url: None,
            listen: None,
            crl_lifetime: Duration::from_secs(4 * 24 * 60 * 60),
            ocsp_lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Section for Revocation {
    const NAME: &'static str = "revocation";

    fn check(&self) -> Result<(), Complaint> {
        let plain = |url: &ExternalUrl| url.as_str().starts_with("http://");
        require(
            self.url.as_ref().is_none_or(plain),
            "url",
            "http:// is due: whoever asks cannot verify TLS yet",
        )?;
        require(
            self.listen.is_none() || self.url.is_some(),
            "listen",
            "it is given, but revocation.url is not, so that nobody would ask",
        )?;
        // The longest is the Baseline Requirements' (4.9.7, 4.9.10).
        let bounds = Duration::from_secs(60 * 60)..=Duration::from_secs(10 * 24 * 60 * 60);
        let message = "1h to 10d is due";
        require(bounds.contains(&self.crl_lifetime), "crl_lifetime", message)?;
        require(
            bounds.contains(&self.ocsp_lifetime),
            "ocsp_lifetime",
            message,
        )
    }
}
