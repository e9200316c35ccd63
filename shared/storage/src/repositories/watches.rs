use bson::{Document, doc};
use certfleet_domain::{ManagedId, Timestamp, Watch, WatchId};
use mongodb::{Collection, Database};

use super::{all_of, by_id, find_many, find_one};
use crate::collections::WATCHES;
use crate::documents::{insert, remove, replace, to_bson_time};
use crate::error::StorageError;
use crate::group::Unit;

/// Where certificates of the fleet should be served, and what was found there.
#[derive(Clone)]
pub struct Watches {
    collection: Collection<Document>,
}

impl Watches {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(WATCHES),
        }
    }

    /// The watch of this id.
    pub async fn find(&self, id: WatchId) -> Result<Option<Watch>, StorageError> {
        find_one(&self.collection, by_id(&id)).await
    }

    /// Those of a managed certificate.
    pub async fn of(&self, managed: ManagedId) -> Result<Vec<Watch>, StorageError> {
        find_many(&self.collection, doc! { "managed": managed.to_string() }).await
    }

    /// Those that are to be looked at by now, the longest due first, `most` of them. Reads these, and nothing else.
    pub async fn due(&self, now: Timestamp, most: i64) -> Result<Vec<Watch>, StorageError> {
        let due = doc! { "next_at": { "$lte": to_bson_time(now) } };
        let found = self.collection.find(due).sort(doc! { "next_at": 1 });
        all_of(found.limit(most).await?).await
    }

    /// Those where something is wrong, the longest first, `most` of them.
    pub async fn findings(&self, most: i64) -> Result<Vec<Watch>, StorageError> {
        let wrong = doc! { "finding.first_seen": { "$exists": true } };
        let found = self
            .collection
            .find(wrong)
            .sort(doc! { "finding.first_seen": 1 });
        all_of(found.limit(most).await?).await
    }

    /// The unit that stores a new watch; refused as a duplicate if the certificate is watched there already.
    pub fn insert(&self, watch: &Watch) -> Result<Unit, StorageError> {
        insert(watch)
    }

    /// The unit that removes a watch, provided that nobody has changed it since it was read.
    pub fn remove(&self, watch: &Watch) -> Unit {
        remove(watch)
    }

    /// The unit that stores a change, provided that nobody has changed the watch since it was read.
    pub fn update(&self, watch: &Watch) -> Result<Unit, StorageError> {
        replace(watch)
    }
}
