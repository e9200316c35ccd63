//! How far a database is, and whether this build can work with it.

use certfleet_domain::Timestamp;
use certfleet_storage::StorageError;
use mongodb::Database;

use crate::ledger::{self, Entry};
use crate::step::{Step, UNDER_WAY};
use crate::steps;

/// A step that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedStep {
    /// Its number.
    pub number: i32,
    /// Its name, as the build that applied it has it.
    pub name: String,
    /// The checksum it was applied with.
    pub checksum: String,
    /// When, by the server's clock.
    pub applied_at: Timestamp,
}

/// A step that this build knows and that was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingStep {
    /// Its number.
    pub number: i32,
    /// Its name.
    pub name: &'static str,
    /// Its checksum.
    pub checksum: String,
}

/// How far a database is, seen from this build. Each list is by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaStatus {
    /// Applied, as this build knows them.
    pub applied: Vec<AppliedStep>,
    /// To be applied.
    pub pending: Vec<PendingStep>,
    /// Applied by a newer build.
    pub unknown: Vec<AppliedStep>,
    /// Applied, but with another checksum than this build's.
    pub changed: Vec<AppliedStep>,
    /// Whether a backup is being restored.
    pub restoring: bool,
}

/// Why this build does not work with the database as it is. One line, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Steps are missing.
    #[error(
        "the database's schema is not ready: step {number} ({name}) is missing; run `certfleet db migrate`"
    )]
    Missing {
        /// The first that is missing.
        number: i32,
        /// Its name.
        name: &'static str,
    },
    /// A newer build has changed the schema.
    #[error(
        "the database's schema is newer than this build, which does not know step {number} ({name}): start a newer build"
    )]
    Unknown {
        /// The first that is not known.
        number: i32,
        /// Its name.
        name: String,
    },
    /// What was applied is not what this build has under the number.
    #[error(
        "step {number} ({name}) of the database's schema was applied in another form than this build's (checksum {applied}): this build and the one that ran `certfleet db migrate` do not belong together"
    )]
    Changed {
        /// The first such step.
        number: i32,
        /// Its name.
        name: String,
        /// The checksum it was applied with.
        applied: String,
    },
    /// A backup is being restored.
    #[error(
        "a backup is being restored into the database: wait for its end, or, if it was broken off, give `certfleet backup restore` again"
    )]
    Restoring,
    /// The database cannot be asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How far the database is.
pub async fn status(database: &Database) -> Result<SchemaStatus, StorageError> {
    compare(&steps::all(), ledger::read(database).await?)
}

/// For services, before they serve: an error unless every step of this build was applied as it is here, and none that
/// this build does not know.
pub async fn require_compatible(database: &Database) -> Result<(), SchemaError> {
    let status = status(database).await?;
    if status.restoring {
        return Err(SchemaError::Restoring);
    }
    require_known(&status)?;
    match status.pending.first() {
        None => Ok(()),
        Some(step) => Err(SchemaError::Missing {
            number: step.number,
            name: step.name,
        }),
    }
}

/// An error if anything was applied that this build does not have, or not in this form.
pub(crate) fn require_known(status: &SchemaStatus) -> Result<(), SchemaError> {
    if let Some(step) = status.unknown.first() {
        return Err(SchemaError::Unknown {
            number: step.number,
            name: step.name.clone(),
        });
    }
    if let Some(step) = status.changed.first() {
        return Err(SchemaError::Changed {
            number: step.number,
            name: step.name.clone(),
            applied: step.checksum.clone(),
        });
    }
    Ok(())
}

/// Holds what is on record against what is known.
pub(crate) fn compare(known: &[Step], recorded: Vec<Entry>) -> Result<SchemaStatus, StorageError> {
    let mut status = SchemaStatus::default();
    for step in known {
        if !recorded.iter().any(|entry| entry.number == step.number) {
            status.pending.push(PendingStep {
                number: step.number,
                name: step.name,
                checksum: step.checksum()?,
            });
        }
    }
    for entry in recorded {
        if entry.number == UNDER_WAY {
            status.restoring = true;
            continue;
        }
        let step = known.iter().find(|step| step.number == entry.number);
        let list = match step {
            None => &mut status.unknown,
            Some(step) if step.checksum()? == entry.checksum => &mut status.applied,
            Some(_) => &mut status.changed,
        };
        list.push(AppliedStep {
            number: entry.number,
            name: entry.name,
            checksum: entry.checksum,
            applied_at: entry.applied_at,
        });
    }
    Ok(status)
}
