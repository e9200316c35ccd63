//! Why there is no backup, or no way back.

use std::io;
use std::path::PathBuf;

use certfleet_migrations::MigrateError;
use certfleet_storage::StorageError;

/// Why there is no backup, or no way back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is a file of this name.
    #[error("{} is there already: choose another name, or move it away", .0.display())]
    Exists(PathBuf),
    /// The file is no backup, or not whole.
    #[error("{} is no whole backup: {why}", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The backup is of another database.
    #[error(
        "it is a backup of the database {backup}, and the settings name {settings}: secrets are bound to the name, so set \
         database.name to {backup}"
    )]
    OtherName {
        /// The backup's.
        backup: String,
        /// The settings'.
        settings: String,
    },
    /// The backup's schema is newer than this build.
    #[error(
        "its schema has step {0}, which this build does not know: restore it with the build that wrote it, or a newer one"
    )]
    Newer(i32),
    /// There is something in the database.
    #[error(
        "the database is not empty: {0} has documents. Restore into an empty one, or give --replace to drop what is there"
    )]
    NotEmpty(String),
    /// Somebody works with the database.
    #[error("{0} works with the database: stop all services first")]
    InUse(String),
    /// Another backup's restore was broken off here.
    #[error(
        "the restore of another backup was broken off here: go on with that one, or give --replace to drop what is there"
    )]
    AnotherRestore,
    /// The snapshot is too old for the database to read on.
    #[error(
        "the database no longer has the snapshot, as the backup took longer than it keeps one, and this user may not ask it to: \
         set the server's parameter minSnapshotHistoryWindowInSeconds (300 by default) to more than it takes, or begin again if \
         the primary changed meanwhile"
    )]
    SnapshotGone,
    /// The restore cannot be put on record.
    #[error("the restore is not on record: {0}; give it again")]
    NotRecorded(String),
    /// The schema cannot be put in place.
    #[error(transparent)]
    Schema(Box<MigrateError>),
    /// The database is in trouble.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The server's answer when a snapshot is too old.
const SNAPSHOT_TOO_OLD: i32 = 239;
const SNAPSHOT_UNAVAILABLE: i32 = 246;

impl From<MigrateError> for BackupError {
    fn from(error: MigrateError) -> Self {
        Self::Schema(Box::new(error))
    }
}

impl From<mongodb::error::Error> for BackupError {
    fn from(error: mongodb::error::Error) -> Self {
        match error.kind.as_ref() {
            mongodb::error::ErrorKind::Command(command)
                if matches!(command.code, SNAPSHOT_TOO_OLD | SNAPSHOT_UNAVAILABLE) =>
            {
                Self::SnapshotGone
            }
            _ => Self::Storage(error.into()),
        }
    }
}
