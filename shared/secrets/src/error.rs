//! Why a value was not sealed or not opened. No error holds content.

use crate::kek::{KekError, KekId};
use crate::place::Place;

/// Why a secret was not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The current KEK did not wrap the data key.
    #[error("{place} was not sealed under KEK {kek}: {source}")]
    Kek {
        /// The record.
        place: Box<Place>,
        /// The current KEK.
        kek: KekId,
        /// Why.
        source: KekError,
    },
    /// The secret is too large to encrypt, or the KEK's answer too large to store.
    #[error("{place} was not sealed: too large")]
    TooLarge {
        /// The record.
        place: Box<Place>,
    },
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// This process does not hold the KEK that the record names.
    #[error("{place} is sealed under KEK {kek}, which this process does not have")]
    MissingKek {
        /// The record.
        place: Box<Place>,
        /// The KEK it needs.
        kek: KekId,
    },
    /// The KEK did not unwrap the data key.
    #[error("{place} does not open under KEK {kek}: {source}")]
    Kek {
        /// The record.
        place: Box<Place>,
        /// The KEK it names.
        kek: KekId,
        /// Why.
        source: KekError,
    },
    /// The data key is not the one the record was committed to. Nothing was decrypted.
    #[error("{place} does not open: it is not committed to its data key")]
    NotCommitted {
        /// The record.
        place: Box<Place>,
    },
    /// The ciphertext was changed.
    #[error("{place} does not open: its ciphertext was changed")]
    Changed {
        /// The record.
        place: Box<Place>,
    },
}

impl OpenError {
    /// Whether another try may do, because the KEK was merely out of reach.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Kek {
                source: KekError::Unavailable(_),
                ..
            }
        )
    }
}

impl SealError {
    /// Whether another try may do, because the KEK was merely out of reach.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Kek {
                source: KekError::Unavailable(_),
                ..
            }
        )
    }
}
