use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use super::by_id;
use crate::collections::SECRETS;
use crate::documents::binary;
use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};

/// Secrets, sealed elsewhere: here they are bytes under a name.
#[derive(Clone)]
pub struct SealedSecrets {
    collection: Collection<Document>,
}

impl SealedSecrets {
    /// The collection they lie in, which is part of what they are bound to.
    pub const COLLECTION: &'static str = SECRETS;
    /// The field they lie in, likewise.
    pub const FIELD: &'static str = "sealed";

    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(SECRETS),
        }
    }

    /// The sealed bytes of this name.
    pub async fn find(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(document) = self.collection.find_one(by_id(&name)).await? else {
            return Ok(None);
        };
        let sealed = document
            .get_binary_generic(Self::FIELD)
            .map_err(|error| Corrupt {
                collection: SECRETS,
                id: name.to_owned(),
                why: format!("{}: {error}", Self::FIELD),
            })?;
        Ok(Some(sealed.clone()))
    }

    /// One of the KEK ids that secrets are sealed under, and how many are, for each.
    pub async fn count_by_kek(&self) -> Result<Vec<(String, i64)>, StorageError> {
        let pipeline = [doc! { "$group": { "_id": "$kek", "count": { "$sum": 1_i64 } } }];
        let rows: Vec<Document> = self
            .collection
            .aggregate(pipeline)
            .await?
            .try_collect()
            .await?;
        Ok(rows
            .iter()
            .map(|row| {
                (
                    row.get_str("_id").unwrap_or_default().to_owned(),
                    row.get_i64("count").unwrap_or_default(),
                )
            })
            .collect())
    }

    /// The unit that stores a new secret; refused as a duplicate if there is one of its name.
    pub fn insert(&self, name: &str, kek: &str, sealed: &[u8]) -> Unit {
        let document = doc! { "_id": name, "kek": kek, Self::FIELD: binary(sealed) };
        Unit::of(Write::Insert {
            row: Row::new(SECRETS, name),
            document,
        })
    }

    /// The unit that puts a secret in place of what is there under its name, if anything is.
    pub fn put(&self, name: &str, kek: &str, sealed: &[u8]) -> Unit {
        let document = doc! { "_id": name, "kek": kek, Self::FIELD: binary(sealed) };
        let pipeline = vec![doc! { "$replaceWith": { "$literal": document } }];
        Unit::of(Write::Ensure {
            row: Row::new(SECRETS, name),
            pipeline,
        })
    }
}
