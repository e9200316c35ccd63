//! `siem`: who gets the audit trail, entry by entry.

use std::path::PathBuf;
use std::time::Duration;

use certfleet_forwarding::{Destination, Format, InvalidDestination, Settings};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::secret_text::SecretText;
use super::section::{Complaint, Section, require};
use super::text::{FromText, parse, text};

/// Who gets the audit trail, entry by entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Siem {
    /// Where entries go; without it, nowhere.
    pub url: Option<SiemUrl>,
    /// By what name it is kept how much the receiver has: one of another name gets all that there is.
    pub name: String,
    /// How entries are written; without it, RFC 5424 for syslog and JSON for HTTP.
    pub format: Option<SiemFormat>,
    /// The roots of the receiver's certificate, PEM; those of the system without it.
    pub ca_file: Option<PathBuf>,
    /// Our own chain, PEM, for a receiver that asks.
    pub certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    pub key_file: Option<PathBuf>,
    /// The bearer token for an HTTP receiver.
    pub token: Option<SecretText>,
    /// How long a delivery may take.
    #[serde(deserialize_with = "text")]
    pub timeout: Duration,
}

/// Where entries go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SiemUrl(#[serde(deserialize_with = "text")] Destination);

impl FromText for Destination {
    fn from_text(text: &str) -> Result<Self, String> {
        parse(text).map_err(|_| InvalidDestination.to_string())
    }
}

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiemFormat {
    /// Syslog messages that say JSON.
    Rfc5424,
    /// Syslog messages that say CEF.
    Cef,
    /// JSON.
    Json,
}

impl From<SiemFormat> for Format {
    fn from(format: SiemFormat) -> Self {
        match format {
            SiemFormat::Rfc5424 => Self::Rfc5424,
            SiemFormat::Cef => Self::Cef,
            SiemFormat::Json => Self::Json,
        }
    }
}

impl Default for Siem {
    fn default() -> Self {
        Self {
            url: None,
            name: "siem".to_owned(),
            format: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            token: None,
            timeout: Duration::from_secs(8),
        }
    }
}

impl Siem {
    /// What the sender has to know, if there is a receiver.
    pub fn forwarding(&self) -> Option<Settings> {
        let SiemUrl(to) = self.url.clone()?;
        let identity = self.certificate_file.clone().zip(self.key_file.clone());
        let token = self.token.as_ref();
        Some(Settings {
            format: self.format_for(&to),
            to,
            roots: self.ca_file.clone(),
            identity,
            token: token.map(|token| Zeroizing::new(token.expose().to_owned())),
            patience: self.timeout,
        })
    }

    fn format_for(&self, to: &Destination) -> Format {
        let plain = if to.answers() {
            Format::Json
        } else {
            Format::Rfc5424
        };
        self.format.map_or(plain, Format::from)
    }
}

impl Section for Siem {
    const NAME: &'static str = "siem";

    fn check(&self) -> Result<(), Complaint> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        require(
            (1..=64).contains(&self.name.len()) && self.name.bytes().all(fits),
            "name",
            "1 to 64 letters, digits, '-', '_' or '.' are due",
        )?;
        // A run of the duty that sends is ten seconds after the one before.
        let bounds = Duration::from_millis(100)..=Duration::from_secs(60);
        require(
            bounds.contains(&self.timeout),
            "timeout",
            "100ms to 60s is due",
        )?;
        require(
            self.certificate_file.is_some() == self.key_file.is_some(),
            "key_file",
            "certificate_file and key_file go together",
        )?;
        let Some(SiemUrl(to)) = &self.url else {
            return Ok(());
        };
        self.format_for(to)
            .fits(to)
            .map_err(|error| ("format", error.to_string()))?;
        require(
            self.token.is_none() || (to.answers() && to.is_secure()),
            "token",
            "it is given, but siem.url is not https",
        )?;
        let for_tls = self.ca_file.is_some() || self.certificate_file.is_some();
        require(
            !for_tls || to.is_secure(),
            "ca_file",
            "files for TLS are given, but siem.url is neither tls nor https",
        )
    }
}
