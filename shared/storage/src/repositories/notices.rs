use bson::{Document, doc};
use certfleet_domain::{Notice, Timestamp};
use mongodb::{Collection, Database};

use super::all_of;
use crate::collections::NOTICES;
use crate::documents::{ensure, replace, to_bson_time};
use crate::error::StorageError;
use crate::group::Unit;

/// What people are told without having asked.
#[derive(Clone)]
pub struct Notices {
    collection: Collection<Document>,
}

impl Notices {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(NOTICES),
        }
    }

    /// The unit by which a notice is there: however often it is found, it is one.
    pub fn ensure(&self, notice: &Notice) -> Result<Unit, StorageError> {
        ensure(notice)
    }

    /// The unit that stores a change, provided that nobody has changed the notice since it was read.
    pub fn update(&self, notice: &Notice) -> Result<Unit, StorageError> {
        replace(notice)
    }

    /// Those that are to be told by now, the longest due first, `most` of them. Reads these, and nothing else.
    pub async fn due(&self, now: Timestamp, most: i64) -> Result<Vec<Notice>, StorageError> {
        let due = doc! { "next_at": { "$lte": to_bson_time(now) } };
        let found = self.collection.find(due).sort(doc! { "next_at": 1 });
        all_of(found.limit(most).await?).await
    }

    /// The last ones, the newest first, `most` of them.
    pub async fn last(&self, most: i64) -> Result<Vec<Notice>, StorageError> {
        let found = self
            .collection
            .find(doc! {})
            .sort(doc! { "created_at": -1 });
        all_of(found.limit(most).await?).await
    }
}
