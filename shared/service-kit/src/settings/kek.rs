//! `kek`: the key that everything secret in the database is sealed under.

use std::path::PathBuf;
use std::sync::Arc;

use certfleet_secrets::{
    DuplicateKek, KekProvider, KekSourceError, Keyring, LocalKek, read_kek_file, read_kek_value,
};
use serde::Deserialize;

use super::secret_text::SecretText;
use super::section::{Complaint, Section, require};
use super::text::{FromText, list};

/// The key that everything secret in the database is sealed under: from a file or as a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kek {
    /// The file that holds it; nobody but its owner may be able to read it.
    pub file: Option<PathBuf>,
    /// The key itself, 32 bytes as hex or base64.
    pub value: Option<SecretText>,
    /// Files with former keys, which still open what is sealed under them.
    pub previous_files: Vec<PathBuf>,
    /// Other keys, such as the next one or a former one: they open what is sealed under them, and seal once they are told to.
    #[serde(deserialize_with = "list")]
    pub others: Vec<KekSource>,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KekSource {
    /// In a file that nobody but its owner can read: `file:/path`.
    File(PathBuf),
    /// In a variable of the environment: `env:NAME`.
    Environment(String),
}

impl FromText for KekSource {
    /// The error does not repeat it: it may be a key, put in the wrong place.
    fn from_text(text: &str) -> Result<Self, String> {
        let given = |rest: &str| (!rest.is_empty()).then(|| rest.to_owned());
        let file = text.strip_prefix("file:").and_then(given);
        let variable = text.strip_prefix("env:").and_then(given);
        match (file, variable) {
            (Some(path), _) => Ok(Self::File(path.into())),
            (_, Some(name)) => Ok(Self::Environment(name)),
            (None, None) => Err("not a key's place: file:/path or env:NAME is due".to_owned()),
        }
    }
}

impl KekSource {
    fn read(&self) -> Result<LocalKek, KeyringError> {
        match self {
            Self::File(path) => Ok(read_kek_file(path)?),
            Self::Environment(name) => {
                let value = std::env::var(name)
                    .map(SecretText::new)
                    .map_err(|_| KeyringError::NoVariable(name.clone()))?;
                Ok(read_kek_value(value.expose())?)
            }
        }
    }
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No key is given.
    #[error("kek.file or kek.value is required")]
    NoKek,
    /// A variable that is to hold one is not set.
    #[error("kek.others: the variable {0} is not set, or is no text")]
    NoVariable(String),
    /// A key cannot be read.
    #[error(transparent)]
    Source(#[from] KekSourceError),
    /// The same key is given twice.
    #[error(transparent)]
    Duplicate(#[from] DuplicateKek),
}

impl Kek {
    /// Reads the keys.
    pub fn keyring(&self) -> Result<Keyring, KeyringError> {
        let current = match (&self.file, &self.value) {
            (Some(path), _) => read_kek_file(path)?,
            (None, Some(value)) => read_kek_value(value.expose())?,
            (None, None) => return Err(KeyringError::NoKek),
        };
        let mut previous: Vec<Arc<dyn KekProvider>> = Vec::new();
        for path in &self.previous_files {
            previous.push(Arc::new(read_kek_file(path)?));
        }
        for source in &self.others {
            previous.push(Arc::new(source.read()?));
        }
        Ok(Keyring::new(Arc::new(current), previous)?)
    }

    /// Whether a current key is given.
    pub(super) fn is_given(&self) -> bool {
        self.file.is_some() || self.value.is_some()
    }
}

impl Section for Kek {
    const NAME: &'static str = "kek";

    fn check(&self) -> Result<(), Complaint> {
        require(
            self.file.is_none() || self.value.is_none(),
            "value",
            "either kek.file or kek.value is due, not both",
        )
    }
}
