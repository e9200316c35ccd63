use bson::{Binary, Document, doc};
use certfleet_domain::Timestamp;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use time::Duration;

use crate::collections::NONCES;
use crate::documents::binary;
use crate::error::StorageError;
use crate::group::{InsertGroup, Inserted};

/// What became of the attempt to spend a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceSpent {
    /// Spent, by this attempt.
    Now,
    /// It was spent before.
    Before,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SpentNonce {
    #[serde(rename = "_id")]
    id: Binary,
}

/// Nonces that were spent.
///
/// Only the spending is written: a nonce proves by itself that it is ours and fresh. The id begins with the second in
/// which the nonce expires, big-endian, so that the inserts go to one end of the index, and so that the expired ones
/// are removed by a range of ids, with no second index.
#[derive(Clone)]
pub struct Nonces {
    collection: Collection<Document>,
    group: InsertGroup<SpentNonce>,
}

impl Nonces {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(NONCES),
            group: InsertGroup::start(database.collection(NONCES)),
        }
    }

    /// Spends a nonce, known by `id`, which no replica takes any more from `expires_at` on. Of all attempts on all
    /// replicas exactly one is told [`NonceSpent::Now`].
    pub async fn spend(
        &self,
        id: &[u8],
        expires_at: Timestamp,
    ) -> Result<NonceSpent, StorageError> {
        let mut key = prefix(expires_at).to_vec();
        key.extend_from_slice(id);
        match self.group.insert(SpentNonce { id: binary(&key) }).await? {
            Inserted::New => Ok(NonceSpent::Now),
            Inserted::Existed => Ok(NonceSpent::Before),
        }
    }

    /// Forgets nonces that expired before `now` by more than the clocks of replicas may differ. Gives how many.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<u64, StorageError> {
        let before = binary(&prefix(now - Self::CLOCK_TOLERANCE));
        // Binary values sort by length first: only ids of the one length there is are compared by content.
        let mut lowest = vec![0; 4];
        let mut highest = before.bytes;
        let pad = Self::ID_LENGTH;
        lowest.resize(4 + pad, 0);
        highest.resize(4 + pad, 0);
        let range = doc! { "_id": { "$gte": binary(&lowest), "$lt": binary(&highest) } };
        Ok(self.collection.delete_many(range).await?.deleted_count)
    }

    /// The length of the ids that are spent, in octets.
    pub const ID_LENGTH: usize = 16;
    /// How far the clocks of replicas may lie apart.
    pub const CLOCK_TOLERANCE: Duration = Duration::minutes(10);
}

fn prefix(at: Timestamp) -> [u8; 4] {
    u32::try_from(at.unix_timestamp())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
}
