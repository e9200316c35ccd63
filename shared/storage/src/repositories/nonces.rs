use bson::{Document, doc};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use certfleet_domain::Timestamp;
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};
use time::Duration;

use crate::collections::NONCES;
use crate::documents::binary;
use crate::error::{CommitError, StorageError};
use crate::group::{GroupCommit, Row, Unit, Write};

/// What became of the attempt to spend a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceSpent {
    /// Spent, by this attempt.
    Now,
    /// It was spent before.
    Before,
}

/// A nonce's id.
type Id = [u8; Nonces::ID_LENGTH];

/// Nonces that were spent.
///
/// Only the spending is written: a nonce proves by itself that it is ours and fresh. Its id begins with the second in
/// which it was minted, big-endian, so that inserts go to one end of the index, and so that old ones are removed by a
/// range of ids, with no second index. Nothing else is in the key: replicas whose settings differ agree on it.
#[derive(Clone)]
pub struct Nonces {
    collection: Collection<Document>,
    group: GroupCommit,
    /// Some that are known to be spent, for ever: a replay of one of them costs the database nothing.
    known: Arc<Mutex<Known>>,
}

/// The ids that were last added: between [`Known::MOST`] and twice as many.
#[derive(Default)]
struct Known {
    young: HashSet<Id>,
    old: HashSet<Id>,
}

impl Known {
    const MOST: usize = 16_384;

    fn add(&mut self, id: Id) {
        if self.young.len() == Self::MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }

    fn has(&self, id: &Id) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }
}

impl Nonces {
    /// The length of the ids, in octets.
    pub const ID_LENGTH: usize = 19;
    /// How many of these, at the front, are the second of minting.
    const TIME_LENGTH: usize = 5;
    /// The longest that a nonce may be usable; settings keep to it.
    pub const LONGEST_LIFETIME: Duration = Duration::hours(2);
    /// How far the clocks of replicas may lie apart.
    pub const CLOCK_TOLERANCE: Duration = Duration::minutes(10);

    pub(crate) fn new(database: &Database, group: GroupCommit) -> Self {
        Self {
            collection: database.collection(NONCES),
            group,
            known: Arc::default(),
        }
    }

    /// Spends a nonce. Of all attempts on all replicas exactly one is told [`NonceSpent::Now`].
    pub async fn spend(&self, id: &Id) -> Result<NonceSpent, StorageError> {
        match self.spend_with(id, Unit::default()).await {
            Ok(()) => Ok(NonceSpent::Now),
            Err(CommitError::Storage(error)) => Err(error),
            // The unit is nothing but the nonce.
            Err(CommitError::Duplicate { .. } | CommitError::Changed { .. }) => {
                Ok(NonceSpent::Before)
            }
        }
    }

    /// Applies a unit and spends a nonce: both or neither. If the nonce was spent before, the error tells so
    /// ([`CommitError::is_spent_nonce`]).
    pub async fn spend_with(&self, id: &Id, unit: Unit) -> Result<(), CommitError> {
        if self.known().has(id) {
            return Err(CommitError::spent_nonce());
        }
        let spending = Unit::of(Write::Insert {
            row: Row::new(NONCES, binary(id)),
            document: doc! { "_id": binary(id) },
        });
        let fate = self.group.commit(spending.and(unit)).await;
        if fate.is_ok() || fate.as_ref().is_err_and(CommitError::is_spent_nonce) {
            self.known().add(*id);
        }
        fate
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets at most `most` of the nonces that no replica takes any more, whatever its clock and its settings. Gives
    /// how many.
    pub async fn forget_expired(&self, now: Timestamp, most: u64) -> Result<u64, StorageError> {
        let oldest = now - Self::LONGEST_LIFETIME - Self::CLOCK_TOLERANCE;
        // Binary values of one length compare octet by octet.
        let mut range =
            doc! { "$gte": binary(&[0; Self::ID_LENGTH]), "$lt": binary(&first_id_at(oldest)) };
        let first_kept = self
            .collection
            .find(doc! { "_id": &range })
            .sort(doc! { "_id": 1 })
            .projection(doc! { "_id": 1 })
            .skip(most)
            .limit(1)
            .await?
            .try_next()
            .await?;
        if let Some(id) = first_kept.as_ref().and_then(|nonce| nonce.get("_id")) {
            range.insert("$lt", id);
        }
        let removed = self.collection.delete_many(doc! { "_id": range }).await?;
        Ok(removed.deleted_count)
    }
}

/// The lowest id of a nonce minted at this moment.
fn first_id_at(at: Timestamp) -> [u8; Nonces::ID_LENGTH] {
    let seconds = u64::try_from(at.unix_timestamp())
        .unwrap_or(0)
        .to_be_bytes();
    let mut id = [0; Nonces::ID_LENGTH];
    id[..Nonces::TIME_LENGTH].copy_from_slice(&seconds[8 - Nonces::TIME_LENGTH..]);
    id
}
