//! Removing what has served its time, in steps small enough not to be felt.

use std::collections::HashSet;
use std::time::Duration;

use bson::{Document, doc};
use certfleet_domain::Timestamp;
use futures_util::TryStreamExt;
use mongodb::Database;

use crate::collections::{
    AUTHORIZATIONS, JOBS, JOBS_FINISHED, MANAGED, ORDERS, SECRETS, VERSIONS as VERSIONS_OF_MANAGED,
};
use crate::documents::to_bson_time;
use crate::error::StorageError;
use crate::repositories::Nonces;
use crate::vault::SecretName;

/// The most documents that one step removes from a collection.
const STEP: i64 = 5_000;
/// The most certificates of the fleet, each with its key.
const VERSIONS: i64 = 500;
/// So many times as many are looked at, if they are to stay.
const PAGES: usize = 20;

/// What one step of the retention removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Expired nonces.
    pub nonces: u64,
    /// Orders.
    pub orders: u64,
    /// Authorizations.
    pub authorizations: u64,
    /// Certificates that managed ones have had, with their keys.
    pub versions: u64,
}

impl Removed {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.nonces + self.orders + self.authorizations + self.versions
    }

    /// Whether a step was full, so that there is more to remove.
    pub fn more(&self) -> bool {
        let most = self.nonces.max(self.orders).max(self.authorizations);
        most >= STEP.unsigned_abs() || self.versions >= VERSIONS.unsigned_abs()
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
    /// Certificates that managed ones have had, and that expired after this; but for the one that each has now. Without it, all.
    pub versions_since: Option<Timestamp>,
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
            versions: match keep.versions_since {
                Some(since) => self.forget_versions(since).await?,
                None => 0,
            },
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

    /// Former certificates of the fleet, with their keys. The keys go first: who is killed in between leaves certificates without
    /// keys, which the next step finds.
    async fn forget_versions(&self, since: Timestamp) -> Result<u64, StorageError> {
        let mut behind: Option<(bson::DateTime, String)> = None;
        for _ in 0..PAGES {
            let found = self.expired_versions(since, behind.as_ref()).await?;
            let Some(last) = found.last() else {
                return Ok(0);
            };
            behind = Some(last.clone());
            let mut ids: Vec<String> = found.into_iter().map(|(_, id)| id).collect();
            let current = self.current_among(&ids).await?;
            ids.retain(|id| !current.contains(id));
            if ids.is_empty() {
                continue;
            }
            let keys: Vec<String> = ids
                .iter()
                .filter_map(|id| Some(SecretName::ManagedKey(id.parse().ok()?).to_string()))
                .collect();
            let those = |ids: Vec<String>| doc! { "_id": { "$in": ids } };
            let secrets = self.database.collection::<Document>(SECRETS);
            secrets.delete_many(those(keys)).await?;
            let versions = self.database.collection::<Document>(VERSIONS_OF_MANAGED);
            return Ok(versions.delete_many(those(ids)).await?.deleted_count);
        }
        // As many have expired without having been renewed, and stay.
        Ok(0)
    }

    async fn expired_versions(
        &self,
        since: Timestamp,
        behind: Option<&(bson::DateTime, String)>,
    ) -> Result<Vec<(bson::DateTime, String)>, StorageError> {
        let mut filter = doc! { "not_after": { "$lt": to_bson_time(since) } };
        if let Some((at, id)) = behind {
            let later = vec![
                doc! { "not_after": { "$gt": at } },
                doc! { "not_after": at, "_id": { "$gt": id } },
            ];
            filter.insert("$or", later);
        }
        let versions = self.database.collection::<Document>(VERSIONS_OF_MANAGED);
        let found: Vec<Document> = versions
            .find(filter)
            .sort(doc! { "not_after": 1, "_id": 1 })
            .limit(VERSIONS)
            .projection(doc! { "not_after": 1 })
            .await?
            .try_collect()
            .await?;
        let read = |found: &Document| {
            let at = *found.get_datetime("not_after").ok()?;
            Some((at, found.get_str("_id").ok()?.to_owned()))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    /// Which of these some managed certificate has now, or is about to have.
    async fn current_among(&self, ids: &[String]) -> Result<HashSet<String>, StorageError> {
        let versions = self.database.collection::<Document>(VERSIONS_OF_MANAGED);
        let of = versions.find(doc! { "_id": { "$in": ids } });
        let of = of.projection(doc! { "managed": 1 }).await?;
        let of: Vec<Document> = of.try_collect().await?;
        let managed: Vec<&str> = of
            .iter()
            .filter_map(|one| one.get_str("managed").ok())
            .collect();
        let managed = self
            .database
            .collection::<Document>(MANAGED)
            .find(doc! { "_id": { "$in": managed } })
            .projection(doc! { "current.version": 1 })
            .await?;
        let managed: Vec<Document> = managed.try_collect().await?;
        let version = |one: &Document| {
            let current = one.get_document("current").ok()?;
            Some(current.get_str("version").ok()?.to_owned())
        };
        Ok(managed.iter().filter_map(version).collect())
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
