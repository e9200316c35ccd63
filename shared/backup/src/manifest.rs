//! What is in a backup.

use certfleet_domain::Timestamp;
use serde::{Deserialize, Serialize};

/// The format that this build writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format.
    pub format: u32,
    /// The build that wrote it.
    pub version: String,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: Timestamp,
    /// The moment of the snapshot, by the database's own clock: seconds and a number within the second.
    pub snapshot: (u32, u32),
    /// The database's name. Secrets are bound to it, so that it has to be restored under the same.
    pub database: String,
    /// The numbers of the schema's steps that were applied.
    pub schema: Vec<i32>,
    /// The ids of the KEKs that its secrets are sealed under.
    pub keks: Vec<String>,
    /// Where the audit trail ended.
    pub audit: AuditHead,
    /// The collections.
    pub collections: Vec<Contents>,
}

/// Where the audit trail ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// How many entries it had.
    pub entries: u64,
    /// Its last checkpoint, signed, if there was one.
    pub checkpoint: Option<String>,
}

/// What is in a backup of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The collection.
    pub name: String,
    /// How many documents.
    pub documents: u64,
    /// Where they are, in this order.
    pub chunks: Vec<Chunk>,
}

/// Some documents of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its name in the archive.
    pub name: String,
    /// How many documents.
    pub documents: u64,
    /// How many octets they are, uncompressed.
    pub octets: u64,
    /// The SHA-256 of these octets, hex.
    pub sha256: String,
}

impl Manifest {
    /// How many documents there are in all.
    pub fn documents(&self) -> u64 {
        self.collections.iter().map(|one| one.documents).sum()
    }

    /// All chunks, in the order in which they lie in the archive, each with its collection.
    pub fn chunks(&self) -> impl Iterator<Item = (&str, &Chunk)> {
        self.collections.iter().flat_map(|contents| {
            let name = contents.name.as_str();
            contents.chunks.iter().map(move |chunk| (name, chunk))
        })
    }
}
