//! `kek`: the key that everything secret in the database is sealed under.

use std::path::PathBuf;
use std::sync::Arc;

use certfleet_secrets::{
    DuplicateKek, KekProvider, KekSourceError, Keyring, read_kek_file, read_kek_value,
};
use serde::Deserialize;

use super::secret_text::SecretText;
use super::section::{Complaint, Section, require};

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
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No key is given.
    #[error("kek.file or kek.value is required")]
    NoKek,
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
