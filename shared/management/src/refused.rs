//! Why an act was not carried out.

use std::fmt::Display;

use certfleet_storage::{StorageError, VaultError};

/// Why an act was not carried out. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is none, or none in this project.
    #[error("there is no {what} {name}")]
    NotFound {
        /// Of what.
        what: &'static str,
        /// Its name or id.
        name: String,
    },
    /// What was asked for makes no sense, whatever there is.
    #[error("{0}; nothing was done")]
    Invalid(String),
    /// It does not go together with what there is.
    #[error("{0}; nothing was done")]
    Conflict(String),
    /// Somebody else changed the same thing at this moment.
    #[error(
        "somebody else has changed it at this moment: nothing was done; look at it, and try again"
    )]
    Meanwhile,
    /// What was to be written beside it is there already.
    #[error("this was asked for before")]
    Before,
    /// The database is in trouble.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The secrets are.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Refused {
    /// There is none of this name.
    pub fn not_found(what: &'static str, name: impl Display) -> Self {
        Self::NotFound {
            what,
            name: name.to_string(),
        }
    }
}
