//! The register of processes: who is alive, by the server's time.

use std::time::Duration;

use bson::{Bson, Document, doc};
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
    /// The ids of the KEKs that it holds, if it opens secrets.
    pub keks: Option<Vec<String>>,
}

/// A process as the register knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: ServerId,
    /// The service.
    pub service: String,
    /// The build it runs.
    pub version: String,
    /// The ids of the KEKs that it holds; none if it opens no secrets, or is of a build that does not say.
    pub keks: Option<Vec<String>>,
    /// How long it has not been seen, by the server's time.
    pub silent_for: Duration,
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
            "$set": { "service": process.service, "version": process.version, "keks": &process.keks },
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

    /// All that are registered, alive or not. Those that end well are not.
    pub async fn census(&self) -> Result<Vec<Seen>, StorageError> {
        let silent = doc! { "$set": { "silent_for": { "$subtract": ["$$NOW", "$last_seen"] } } };
        let found = self.collection.aggregate([silent]).await?;
        let found: Vec<Document> = found.try_collect().await?;
        let seen = |process: &Document| {
            let text = |field| Some(process.get_str(field).ok()?.to_owned());
            let silent = process.get_i64("silent_for").ok()?.max(0).unsigned_abs();
            Some(Seen {
                id: process.get_str("_id").ok()?.parse().ok()?,
                service: text("service")?,
                version: text("version")?,
                keks: process.get_array("keks").ok().map(|keks| texts(keks)),
                silent_for: Duration::from_millis(silent),
            })
        };
        Ok(found.iter().filter_map(seen).collect())
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

fn texts(values: &[Bson]) -> Vec<String> {
    let text = |value: &Bson| value.as_str().map(str::to_owned);
    values.iter().filter_map(text).collect()
}
