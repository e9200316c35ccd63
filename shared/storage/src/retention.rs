//! Removing what has served its time, in steps small enough not to be felt.

use bson::{Document, doc};
use certfleet_domain::Timestamp;
use futures_util::TryStreamExt;
use mongodb::Database;

use crate::collections::{AUTHORIZATIONS, ORDERS};
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
    /// Whether a step was full, so that there is more to remove.
    pub fn more(&self) -> bool {
        let most = self.nonces.max(self.orders).max(self.authorizations);
        most >= STEP.unsigned_abs()
    }
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

    /// One step: nonces expired by `now`; orders and authorizations that expired before `expired_before`.
    /// Certificates are kept, and so are orders that are being signed.
    pub async fn step(
        &self,
        now: Timestamp,
        expired_before: Timestamp,
    ) -> Result<Removed, StorageError> {
        // Ids begin with the millisecond they were made in, and nothing expires before it is made: so the id's own
        // index leads to all that may have expired, and to nothing younger.
        let made_before = format!("{:012x}", expired_before.unix_timestamp_nanos() / 1_000_000);
        let expired = doc! { "_id": { "$lt": made_before }, "expires_at": { "$lt": to_bson_time(expired_before) } };
        let mut settled = expired.clone();
        settled.insert("state.status", doc! { "$ne": "processing" });
        Ok(Removed {
            nonces: self.nonces.forget_expired(now, STEP.unsigned_abs()).await?,
            orders: self.remove(ORDERS, settled).await?,
            authorizations: self.remove(AUTHORIZATIONS, expired).await?,
        })
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
