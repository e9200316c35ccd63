//! Where the log ends, its public key, and what was signed.

use bson::{Bson, Document, doc};
use certfleet_audit::{CheckpointKey, Frontier, Hash, Head};
use futures_util::TryStreamExt;

use super::AuditLog;
use crate::collections::{AUDIT_CHECKPOINTS, AUDIT_STATE};
use crate::documents::binary;
use crate::error::{Corrupt, StorageError, is_duplicate_key};

pub(super) const HEAD: &str = "head";
pub(super) const START: &str = "start";
const KEY: &str = "key";

/// A checkpoint as it was signed, with what is needed to go on from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// The signed text.
    pub note: String,
    /// Where the log ended. Nothing vouches for it but that its root is the signed one.
    pub head: Head,
}

impl AuditLog {
    /// Where the log ends.
    pub async fn head(&self) -> Result<Head, StorageError> {
        self.one_end(HEAD).await
    }

    /// Where the log begins: at 0, or behind what was kept for long enough.
    pub async fn start(&self) -> Result<Head, StorageError> {
        self.one_end(START).await
    }

    async fn one_end(&self, which: &str) -> Result<Head, StorageError> {
        let found = self.state().find_one(doc! { "_id": which }).await?;
        Ok(match found {
            None => Head::default(),
            Some(document) => head_of(&document, AUDIT_STATE)?,
        })
    }

    /// The log's public key, if it has one yet.
    pub async fn key(&self) -> Result<Option<CheckpointKey>, StorageError> {
        let Some(found) = self.state().find_one(doc! { "_id": KEY }).await? else {
            return Ok(None);
        };
        let key = found
            .get_str("key")
            .map_err(|error| error.to_string())
            .and_then(|text| text.parse().map_err(|error| format!("{error}")));
        Ok(Some(key.map_err(|why| Corrupt {
            collection: AUDIT_STATE,
            id: KEY.to_owned(),
            why,
        })?))
    }

    /// Keeps the log's public key, unless there is one; gives the one that is kept.
    pub async fn keep_key(&self, key: &CheckpointKey) -> Result<CheckpointKey, StorageError> {
        let document = doc! { "_id": KEY, "key": key.to_string() };
        match self.state().insert_one(document).await {
            Err(error) if !is_duplicate_key(&error) => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        Ok(self.key().await?.unwrap_or_else(|| key.clone()))
    }

    /// Keeps what was signed of the log as it ended at `head`, unless somebody else was faster.
    pub async fn keep_checkpoint(&self, note: &str, head: &Head) -> Result<(), StorageError> {
        let mut document = head_document(head);
        document.insert("_id", whole(head.size()));
        document.insert("note", note);
        match self.checkpoints().insert_one(document).await {
            Err(error) if !is_duplicate_key(&error) => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The checkpoint at this size; `None` if nothing was signed then.
    pub async fn checkpoint(&self, size: u64) -> Result<Option<SignedCheckpoint>, StorageError> {
        let wanted = doc! { "_id": whole(size) };
        let found = self.checkpoints().find_one(wanted).await?;
        Ok(found.as_ref().map(signed).transpose()?)
    }

    /// The latest checkpoint.
    pub async fn last_checkpoint(&self) -> Result<Option<SignedCheckpoint>, StorageError> {
        let found = self
            .checkpoints()
            .find_one(doc! {})
            .sort(doc! { "_id": -1 })
            .await?;
        Ok(found.as_ref().map(signed).transpose()?)
    }

    /// The next checkpoints of more entries than `size`, the shortest first.
    pub(super) async fn next_checkpoints(
        &self,
        size: u64,
        most: i64,
    ) -> Result<Vec<SignedCheckpoint>, StorageError> {
        let checkpoints = self.checkpoints();
        let found = checkpoints.find(doc! { "_id": { "$gt": whole(size) } });
        let found = found.sort(doc! { "_id": 1 }).limit(most).await?;
        let found: Vec<Document> = found.try_collect().await?;
        Ok(found.iter().map(signed).collect::<Result<_, _>>()?)
    }

    /// All checkpoints of more entries than `size`, the shortest first.
    pub async fn checkpoints_after(
        &self,
        size: u64,
    ) -> Result<Vec<SignedCheckpoint>, StorageError> {
        self.next_checkpoints(size, 0).await
    }
}

fn signed(document: &Document) -> Result<SignedCheckpoint, Corrupt> {
    let head = head_of(document, AUDIT_CHECKPOINTS)?;
    let note = document
        .get_str("note")
        .map_err(|error| corrupt(document, AUDIT_CHECKPOINTS, error.to_string()))?;
    Ok(SignedCheckpoint {
        note: note.to_owned(),
        head,
    })
}

/// The fields of a head.
pub(super) fn head_document(head: &Head) -> Document {
    let peaks: Vec<u8> = head.tree.peaks().iter().flat_map(|peak| peak.0).collect();
    doc! {
        "size": whole(head.size()),
        "chain": binary(&head.chain.0),
        "peaks": binary(&peaks),
    }
}

fn head_of(document: &Document, collection: &'static str) -> Result<Head, Corrupt> {
    let hashes = |field: &str| {
        let bytes = document.get_binary_generic(field).ok()?;
        Hash::all_of(bytes)
    };
    let read = || {
        let size = document.get_i64("size").ok()?;
        let chain: [Hash; 1] = hashes("chain")?.try_into().ok()?;
        let tree = Frontier::new(u64::try_from(size).ok()?, hashes("peaks")?)?;
        Some(Head {
            chain: chain[0],
            tree,
        })
    };
    let why = "size, chain and peaks of a log's end are due".to_owned();
    read().ok_or_else(|| corrupt(document, collection, why))
}

fn corrupt(document: &Document, collection: &'static str, why: String) -> Corrupt {
    Corrupt {
        collection,
        id: document.get("_id").map(Bson::to_string).unwrap_or_default(),
        why,
    }
}

/// A number of entries as the database has it. No log grows to 2^63.
pub(super) fn whole(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
