use bson::{Document, doc};
use certfleet_domain::{EabKey, EabKeyId};
use mongodb::{Collection, Database};

use super::{by_id, find_many, find_one};
use crate::collections::EAB_KEYS;
use crate::documents::{insert, replace};
use crate::error::StorageError;
use crate::group::Unit;

/// Keys that bind accounts (RFC 8555 §7.3.4): whom each is for, and how often it may be used yet. The keys themselves lie
/// sealed, in [`super::SealedSecrets`].
#[derive(Clone)]
pub struct EabKeys {
    collection: Collection<Document>,
}

impl EabKeys {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(EAB_KEYS),
        }
    }

    /// The key of this id.
    pub async fn find(&self, id: EabKeyId) -> Result<Option<EabKey>, StorageError> {
        find_one(&self.collection, by_id(&id)).await
    }

    /// All of them, the oldest first.
    pub async fn all(&self) -> Result<Vec<EabKey>, StorageError> {
        let mut all: Vec<EabKey> = find_many(&self.collection, doc! {}).await?;
        // Ids are of a moment.
        all.sort_by_key(|key| key.id);
        Ok(all)
    }

    /// The unit that stores a new key.
    pub fn insert(&self, key: &EabKey) -> Result<Unit, StorageError> {
        insert(key)
    }

    /// The unit that stores a change, provided that nobody has changed the key since it was read.
    pub fn update(&self, key: &EabKey) -> Result<Unit, StorageError> {
        replace(key)
    }
}
