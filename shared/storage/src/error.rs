//! What can go wrong with the database.

use mongodb::error::{Error as MongoError, ErrorKind};

/// The server's code for the refusal of a unique index.
pub(crate) const DUPLICATE_KEY: i32 = 11000;

/// Whether a unique index refused the one write that this is about.
pub(crate) fn is_duplicate_key(error: &MongoError) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Command(failure) => failure.code == DUPLICATE_KEY,
        ErrorKind::Write(mongodb::error::WriteFailure::WriteError(failure)) => {
            failure.code == DUPLICATE_KEY
        }
        _ => false,
    }
}

/// A stored document that does not parse. Never papered over with a default.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{collection} {id}: {why}")]
pub struct Corrupt {
    /// The collection.
    pub collection: &'static str,
    /// The document's id.
    pub id: String,
    /// The field and what is wrong with it.
    pub why: String,
}

/// Trouble with the database or with what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached, or refused the operation.
    #[error("database: {0}")]
    Mongo(#[from] MongoError),
    /// A document does not parse.
    #[error("corrupt document: {0}")]
    Corrupt(#[from] Corrupt),
    /// A value cannot be written as BSON.
    #[error("cannot be written as BSON: {0}")]
    Encode(#[from] bson::error::Error),
    /// An act cannot be put on record, and so is not done.
    #[error("an act cannot be put on record: {0}")]
    Unrecordable(String),
    /// A transaction did not go through in its time.
    #[error("transaction {name} did not go through in {seconds} s: {last}")]
    TransactionTimeout {
        /// The transaction's name.
        name: &'static str,
        /// Its budget.
        seconds: u64,
        /// The last error.
        last: MongoError,
    },
    /// The process is shutting down.
    #[error("shutting down")]
    ShuttingDown,
    /// Trouble of a whole batch, told to each of its members.
    #[error("{0}")]
    Batch(std::sync::Arc<StorageError>),
}

impl StorageError {
    /// Whether the same operation may go through later: the cluster is electing, a node is away, the network is.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Mongo(error) | Self::TransactionTimeout { last: error, .. } => is_passing(error),
            Self::Batch(error) => error.is_passing(),
            Self::ShuttingDown => true,
            Self::Corrupt(_) | Self::Encode(_) | Self::Unrecordable(_) => false,
        }
    }
}

/// What a server says that steps down, shuts down, starts up or has no time: not about the operation.
const PASSING_CODES: &[i32] = &[
    6,     // HostUnreachable
    7,     // HostNotFound
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    189,   // PrimarySteppedDown
    262,   // ExceededTimeLimit
    9001,  // SocketException
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11602, // InterruptedDueToReplStateChange
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
];

fn is_passing(error: &MongoError) -> bool {
    let kind = match error.kind.as_ref() {
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::ServerSelection { .. } => true,
        ErrorKind::Command(failure) => PASSING_CODES.contains(&failure.code),
        _ => false,
    };
    kind || [
        "RetryableWriteError",
        "TransientTransactionError",
        "UnknownTransactionCommitResult",
        "RetryableError",
    ]
    .iter()
    .any(|label| error.contains_label(label))
}

/// Why a [`Unit`](crate::Unit) of writes was not applied. In each case nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A document is no longer what the writer had read: another was faster.
    #[error("{collection} {id} was changed by another")]
    Changed {
        /// The collection.
        collection: &'static str,
        /// The document's id.
        id: String,
    },
    /// A document of this id or unique key exists already.
    #[error("{collection}: a document with this key exists already ({key})")]
    Duplicate {
        /// The collection.
        collection: &'static str,
        /// The id, or the index that refused.
        key: String,
    },
    /// The database is in trouble; whether the unit was applied is not known where the commit itself failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CommitError {
    /// Whether the lease that the unit was written under is no longer the job's.
    pub fn is_lost_lease(&self) -> bool {
        match self {
            Self::Changed { collection, .. } => *collection == crate::collections::JOBS,
            Self::Duplicate { .. } | Self::Storage(_) => false,
        }
    }

    /// What tells that a nonce was spent before.
    pub fn spent_nonce() -> Self {
        Self::Duplicate {
            collection: crate::collections::NONCES,
            key: "spent before".to_owned(),
        }
    }

    /// Whether a nonce in the unit was spent before.
    pub fn is_spent_nonce(&self) -> bool {
        match self {
            Self::Duplicate { collection, .. } => *collection == crate::collections::NONCES,
            Self::Changed { .. } | Self::Storage(_) => false,
        }
    }

    /// Whether another writer was faster with a document of this collection.
    pub fn is_change_in(&self, of: &str) -> bool {
        match self {
            Self::Changed { collection, .. } => *collection == of,
            Self::Duplicate { .. } | Self::Storage(_) => false,
        }
    }

    /// Whether another writer was faster, so that reading again and deciding anew is what to do.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Changed { .. } | Self::Duplicate { .. } => true,
            Self::Storage(_) => false,
        }
    }
}
