//! Removing what has served its time, in steps small enough not to be felt.

use std::time::Duration;

use bson::{Document, doc};
use certfleet_domain::Timestamp;
use futures_util::TryStreamExt;
use mongodb::Database;

use crate::collections::{AUTHORIZATIONS, JOBS, JOBS_FINISHED, ORDERS};
use crate::documents::to_bson_time;
use crate::error::StorageError;
use crate::repositories::Nonces;

/// The most documents that one step removes from a collection.
const STEP: i64 = 5_000;

/// What one step of the retention removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Expired nonces.
    pub nonces: u64,
    /// Orders.
    pub orders: u64,
    /// Authorizations.
    pub authorizations: u64,
}

impl Removed {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.nonces + self.orders + self.authorizations
    }

    /// Whether a step was full, so that there is more to remove.
    pub fn more(&self) -> bool {
        let most = self.nonces.max(self.orders).max(self.authorizations);
        most >= STEP.unsigned_abs()
    }
}

/// From when on what has ended is kept; what ended before may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Nonces that some replica may still take at this moment.
    pub nonces_since: Timestamp,
    /// Orders that expired after this.
    pub orders_since: Timestamp,
    /// Authorizations that expired after this.
    pub authorizations_since: Timestamp,
    /// Jobs, for so long after they finished.
    pub jobs: Duration,
}

/// Removal of what has served its time.
pub struct Retention {
    database: Database,
    nonces: Nonces,
}

impl Retention {
    pub(crate) fn new(database: &Database, nonces: Nonces) -> Self {
        Self {
            database: database.clone(),
            nonces,
        }
    }

    /// One step: nonces that no replica takes any more, and orders and authorizations that are not to be kept.
    /// Certificates are kept, and so are orders that are being signed.
    pub async fn step(&self, keep: Keep) -> Result<Removed, StorageError> {
        let mut settled = expired_before(keep.orders_since);
        settled.insert("state.status", doc! { "$ne": "processing" });
        let authorizations = expired_before(keep.authorizations_since);
        Ok(Removed {
            nonces: self
                .nonces
                .forget_expired(keep.nonces_since, STEP.unsigned_abs())
                .await?,
            orders: self.remove(ORDERS, settled).await?,
            authorizations: self.remove(AUTHORIZATIONS, authorizations).await?,
        })
    }

    /// Has the database itself remove jobs so long after they finished. Gives whether that was a change.
    pub async fn keep_finished_jobs(&self, time: Duration) -> Result<bool, StorageError> {
        let due = Duration::from_secs(time.as_secs());
        let indexes: Vec<_> = self
            .database
            .collection::<Document>(JOBS)
            .list_indexes()
            .await?
            .try_collect()
            .await?;
        let is_so = indexes
            .into_iter()
            .filter_map(|index| index.options)
            .any(|options| {
                options.name.as_deref() == Some(JOBS_FINISHED) && options.expire_after == Some(due)
            });
        if is_so {
            return Ok(false);
        }
        let seconds = i64::try_from(due.as_secs()).unwrap_or(i64::MAX);
        let index = doc! { "name": JOBS_FINISHED, "expireAfterSeconds": seconds };
        self.database
            .run_command(doc! { "collMod": JOBS, "index": index })
            .await?;
        Ok(true)
    }

    async fn remove(&self, collection: &str, filter: Document) -> Result<u64, StorageError> {
        let documents = self.database.collection::<Document>(collection);
        let found: Vec<Document> = documents
            .find(filter.clone())
            .sort(doc! { "_id": 1 })
            .limit(STEP)
            .projection(doc! { "_id": 1 })
            .await?
            .try_collect()
            .await?;
        if found.is_empty() {
            return Ok(0);
        }
        let ids: Vec<_> = found
            .iter()
            .filter_map(|document| document.get("_id").cloned())
            .collect();
        let mut still = filter;
        still.insert("_id", doc! { "$in": ids });
        Ok(documents.delete_many(still).await?.deleted_count)
    }
}

fn expired_before(at: Timestamp) -> Document {
    // Ids begin with the millisecond they were made in, and nothing expires before it is made: so the id's own index
    // leads to all that may have expired, and to nothing younger.
    let made_before = format!("{:012x}", at.unix_timestamp_nanos() / 1_000_000);
    doc! { "_id": { "$lt": made_before }, "expires_at": { "$lt": to_bson_time(at) } }
}
