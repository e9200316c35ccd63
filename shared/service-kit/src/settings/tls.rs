//! `tls`: whether the API speaks TLS itself, and with whose certificate.

use std::path::PathBuf;

use certfleet_domain::Identifier;
use serde::Deserialize;

use super::section::{Complaint, Section, require};
use super::text::{FromText, list, parse};

/// Where the API's certificate comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Plain HTTP, behind a proxy that speaks TLS.
    #[default]
    Off,
    /// From two PEM files, read again when they change.
    Files,
    /// From the database, where it is kept sealed and renewed.
    Managed,
}

/// Whether the API speaks TLS itself, and with whose certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Where the certificate comes from.
    pub mode: TlsMode,
    /// The chain, PEM, the server's own certificate first; with mode `files`.
    pub certificate: Option<PathBuf>,
    /// The private key, PEM; with mode `files`.
    pub key: Option<PathBuf>,
    /// Names and addresses the certificate is for beside the external URL's host; with mode `managed`.
    #[serde(deserialize_with = "list")]
    pub names: Vec<Identifier>,
}

impl FromText for Identifier {
    fn from_text(text: &str) -> Result<Self, String> {
        parse(text)
    }
}

impl Section for Tls {
    const NAME: &'static str = "tls";

    fn check(&self) -> Result<(), Complaint> {
        let files = self.mode == TlsMode::Files;
        let due = if files {
            "a path is due, because tls.mode is files"
        } else {
            "it is given, but tls.mode is not files"
        };
        require(self.certificate.is_some() == files, "certificate", due)?;
        require(self.key.is_some() == files, "key", due)
    }
}
