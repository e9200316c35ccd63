//! The record of what was applied, in the database itself.

use bson::{Document, doc};
use certfleet_domain::Timestamp;
use certfleet_storage::collections::MIGRATIONS;
use certfleet_storage::{Corrupt, StorageError};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use crate::step::{Step, UNDER_WAY};

/// What the database says of a step that was applied to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: i32,
    pub(crate) name: String,
    pub(crate) checksum: String,
    /// By the server's clock.
    pub(crate) applied_at: Timestamp,
}

fn collection(database: &Database) -> Collection<Document> {
    database.collection(MIGRATIONS)
}

/// All entries, by number.
pub(crate) async fn read(database: &Database) -> Result<Vec<Entry>, StorageError> {
    let found: Vec<Document> = collection(database)
        .find(doc! {})
        .sort(doc! { "_id": 1 })
        .await?
        .try_collect()
        .await?;
    found
        .iter()
        .map(|document| parse(document).map_err(StorageError::from))
        .collect()
}

fn parse(document: &Document) -> Result<Entry, Corrupt> {
    let corrupt = |error: bson::error::Error| Corrupt {
        collection: MIGRATIONS,
        id: document
            .get("_id")
            .map_or_else(|| "without _id".to_owned(), ToString::to_string),
        why: error.to_string(),
    };
    Ok(Entry {
        number: document.get_i32("_id").map_err(corrupt)?,
        name: document.get_str("name").map_err(corrupt)?.to_owned(),
        checksum: document.get_str("checksum").map_err(corrupt)?.to_owned(),
        applied_at: document
            .get_datetime("applied_at")
            .map_err(corrupt)?
            .to_time_0_3(),
    })
}

/// Puts it on record that a restore is under way.
pub(crate) async fn mark_restore(database: &Database) -> Result<(), StorageError> {
    let mark = vec![doc! { "$set": {
        "name": "a restore is under way", "checksum": "", "applied_at": "$$NOW",
    } }];
    collection(database)
        .update_one(doc! { "_id": UNDER_WAY }, mark)
        .upsert(true)
        .await?;
    Ok(())
}

/// Takes that off the record.
pub(crate) async fn unmark_restore(database: &Database) -> Result<(), StorageError> {
    collection(database)
        .delete_one(doc! { "_id": UNDER_WAY })
        .await?;
    Ok(())
}

/// Puts a step that has been carried out on record. One that is there already stays as it is.
pub(crate) async fn record(
    database: &Database,
    step: &Step,
    checksum: &str,
) -> Result<(), StorageError> {
    let entry = vec![doc! { "$set": {
        "name": { "$ifNull": ["$name", step.name] },
        "checksum": { "$ifNull": ["$checksum", checksum] },
        "applied_at": { "$ifNull": ["$applied_at", "$$NOW"] },
    } }];
    collection(database)
        .update_one(doc! { "_id": step.number }, entry)
        .upsert(true)
        .await?;
    Ok(())
}
