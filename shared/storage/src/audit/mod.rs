//! The audit trail in the database.
//!
//! An act and its event are one transaction: the event goes into the **outbox** beside the act, all events of a batch of
//! acts in one document. The **sequencer** takes what lies there, gives each event its number, its link of the chain and
//! its leaf of the tree, and puts blocks of them into the **log**; out of the outbox, into the log and on to the new head
//! is again one transaction, which holds only if the head is still the one that was read. So of two sequencers one gets
//! its events in, and one that was paused and wakes up gets nothing in.

mod forwarded;
pub(crate) mod outbox;
mod read;
pub(crate) mod recorded;
mod sequence;
mod state;
mod trim;

use bson::Document;
use mongodb::{Collection, Database};

pub use forwarded::Forwarded;
pub use read::Block;
pub use sequence::Sequenced;
pub use state::SignedCheckpoint;
pub use trim::{MayGo, Trimmed};

use crate::collections::{AUDIT_CHECKPOINTS, AUDIT_LOG, AUDIT_OUTBOX, AUDIT_STATE};
use crate::metrics::Metrics;

/// The audit trail.
#[derive(Clone)]
pub struct AuditLog {
    database: Database,
    metrics: Metrics,
}

impl AuditLog {
    pub(crate) fn new(database: &Database, metrics: Metrics) -> Self {
        Self {
            database: database.clone(),
            metrics,
        }
    }

    fn outbox(&self) -> Collection<Document> {
        self.database.collection(AUDIT_OUTBOX)
    }

    fn log(&self) -> Collection<Document> {
        self.database.collection(AUDIT_LOG)
    }

    fn checkpoints(&self) -> Collection<Document> {
        self.database.collection(AUDIT_CHECKPOINTS)
    }

    fn state(&self) -> Collection<Document> {
        self.database.collection(AUDIT_STATE)
    }
}
