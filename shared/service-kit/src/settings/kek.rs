//! `kek`: the key that everything secret in the database is sealed under.

use std::path::PathBuf;

use certfleet_secrets::KekSource;
use serde::Deserialize;
use url::Url;

use super::secret_text::SecretText;
use super::section::{Complaint, Section, require};
use super::text::{FromText, if_any, list, parse};

/// The key that everything secret in the database is sealed under.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kek {
    /// The file that holds it; nobody but its owner may be able to read it.
    pub file: Option<PathBuf>,
    /// The key itself, 32 bytes as hex or base64.
    pub value: Option<SecretText>,
    /// Where it is, be it on this machine, in a token or at a service.
    #[serde(deserialize_with = "if_any")]
    pub key: Option<KekSource>,
    /// Files with former keys, which still open what is sealed under them.
    pub previous_files: Vec<PathBuf>,
    /// Other keys, such as the next one or a former one: they open what is sealed under them, and seal once they are told to.
    #[serde(deserialize_with = "list")]
    pub others: Vec<KekSource>,
    /// The file that holds the token for Vault; nobody but its owner may be able to read it. Read for each call.
    pub vault_token_file: Option<PathBuf>,
    /// The roots of Vault's certificate, PEM; those of the system without it.
    pub vault_ca_file: Option<PathBuf>,
    /// Vault's namespace, where it has any.
    pub vault_namespace: Option<String>,
    /// Another endpoint for AWS KMS than the region's own.
    #[serde(deserialize_with = "if_any")]
    pub aws_endpoint: Option<Url>,
}

/// The error does not repeat it: it may be a key, put in the wrong place.
impl FromText for KekSource {
    fn from_text(text: &str) -> Result<Self, String> {
        parse(text)
    }
}

impl FromText for Url {
    fn from_text(text: &str) -> Result<Self, String> {
        let due = || "an https or http URL is due".to_owned();
        let url = Self::parse(text).map_err(|_| due())?;
        let plain = matches!(url.scheme(), "https" | "http") && url.has_host();
        plain.then_some(url).ok_or_else(due)
    }
}

impl Kek {
    /// Whether a current key is given.
    pub(super) fn is_given(&self) -> bool {
        self.file.is_some() || self.value.is_some() || self.key.is_some()
    }
}

impl Section for Kek {
    const NAME: &'static str = "kek";

    fn check(&self) -> Result<(), Complaint> {
        let given = [
            self.file.is_some(),
            self.value.is_some(),
            self.key.is_some(),
        ];
        let given = given.into_iter().filter(|given| *given).count();
        let doubled = if self.value.is_some() { "value" } else { "key" };
        require(
            given <= 1,
            doubled,
            "one of kek.file, kek.value and kek.key is due, not several",
        )
    }
}
