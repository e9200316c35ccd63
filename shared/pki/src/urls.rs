//! Where relying parties find what certificates name.

use certfleet_domain::{CrlShard, IssuerId};

/// The URLs that stand in certificates and CRLs, below the one at which relying parties reach us over plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkiUrls(String);

impl PkiUrls {
    /// Below this URL.
    pub fn below(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    /// A CRL of an issuer's (RFC 5280 §4.2.1.13).
    pub fn crl(&self, issuer: IssuerId, shard: CrlShard) -> String {
        format!("{}/crl/{issuer}/{shard}.crl", self.0)
    }

    /// An issuer's own certificate (RFC 5280 §4.2.2.1, caIssuers).
    pub fn issuer(&self, issuer: IssuerId) -> String {
        format!("{}/issuer/{issuer}.cer", self.0)
    }

    /// The OCSP responder of all issuers.
    pub fn ocsp(&self) -> String {
        format!("{}/ocsp", self.0)
    }
}
