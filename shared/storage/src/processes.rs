//! The register of processes: who is alive, by the server's time.

use std::time::Duration;

use bson::{Document, doc};
use certfleet_domain::ServerId;
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use crate::collections::PROCESSES;
use crate::error::StorageError;

/// A process, as it registers itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id, kept across restarts.
    pub id: ServerId,
    /// The service: `api`, `worker`, `scheduler`.
    pub service: &'static str,
    /// The build it runs.
    pub version: &'static str,
}

/// The register.
#[derive(Clone)]
pub struct Processes {
    collection: Collection<Document>,
}

impl Processes {
    /// Who has not been seen for this long is not counted as alive.
    pub const ALIVE_WITHIN: Duration = Duration::from_secs(10);
    /// How often a process says that it is alive.
    pub const SAY_EVERY: Duration = Duration::from_secs(3);

    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(PROCESSES),
        }
    }

    /// Says that the process is alive.
    pub async fn seen(&self, process: &Process) -> Result<(), StorageError> {
        let update = doc! {
            "$set": { "service": process.service, "version": process.version },
            "$currentDate": { "last_seen": true },
        };
        self.collection
            .update_one(doc! { "_id": process.id.to_string() }, update)
            .upsert(true)
            .await?;
        Ok(())
    }

    /// Says that the process is going, so that others need not wait to find out.
    pub async fn gone(&self, id: ServerId) -> Result<(), StorageError> {
        self.collection
            .delete_one(doc! { "_id": id.to_string() })
            .await?;
        Ok(())
    }

    /// Those of a service that are alive.
    pub async fn alive(&self, service: &str) -> Result<Vec<ServerId>, StorageError> {
        let within = i64::try_from(Self::ALIVE_WITHIN.as_millis()).unwrap_or(i64::MAX);
        let filter = doc! {
            "service": service,
            "$expr": { "$gt": ["$last_seen", { "$subtract": ["$$NOW", within] }] },
        };
        let found: Vec<Document> = self
            .collection
            .find(filter)
            .projection(doc! { "_id": 1 })
            .await?
            .try_collect()
            .await?;
        Ok(found
            .iter()
            .filter_map(|process| process.get_str("_id").ok()?.parse().ok())
            .collect())
    }
}
