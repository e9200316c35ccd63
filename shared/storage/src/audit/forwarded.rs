//! How much of the log has been sent to whoever collects such things.
//!
//! A receiver that does not answer, as syslog's do not, may have taken entries into its memory and died with them. So
//! beside what has been sent, it is kept what had been sent some time ago, and after any trouble sending begins there
//! again: entries arrive once or more often.

use std::time::Duration;

use bson::{Document, doc};
use futures_util::TryStreamExt;

use super::AuditLog;
use super::state::whole;
use crate::collections::AUDIT_STATE;
use crate::error::{Corrupt, StorageError, is_duplicate_key};

/// For how long a receiver may have entries in its memory alone.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);

const PREFIX: &str = "forwarded/";

/// How much of the log a receiver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The number of the first entry that was not sent.
    pub next: u64,
    /// Why sending did not go on, if it did not.
    pub trouble: Option<String>,
    /// For how long that has been so, or nothing has been sent, by the server's time.
    pub since: Duration,
}

impl AuditLog {
    /// The names of all receivers that there ever were.
    pub async fn receivers(&self) -> Result<Vec<String>, StorageError> {
        let ours = doc! { "_id": { "$regex": format!("^{PREFIX}") } };
        let found = self
            .state()
            .find(ours)
            .projection(doc! { "_id": 1 })
            .await?;
        let found: Vec<Document> = found.try_collect().await?;
        let name = |receiver: &Document| {
            let id = receiver.get_str("_id").ok()?;
            id.strip_prefix(PREFIX).map(str::to_owned)
        };
        Ok(found.iter().filter_map(name).collect())
    }

    /// How much the receiver of this name has; nothing if there was never one.
    pub async fn forwarded(&self, receiver: &str) -> Result<Forwarded, StorageError> {
        let by_id = doc! { "$match": { "_id": id(receiver) } };
        let since = doc! { "$set": { "since": { "$subtract": ["$$NOW", "$sent_at"] } } };
        let mut found = self.state().aggregate([by_id, since]).await?;
        if !found.advance().await? {
            return Ok(Forwarded {
                next: 0,
                trouble: None,
                since: Duration::ZERO,
            });
        }
        let document = found.deserialize_current()?;
        let number = |field| document.get_i64(field).ok().and_then(|n| n.try_into().ok());
        let next = number("next").ok_or_else(|| Corrupt {
            collection: AUDIT_STATE,
            id: id(receiver),
            why: "next: a number is due".to_owned(),
        })?;
        Ok(Forwarded {
            next,
            trouble: document.get_str("trouble").ok().map(str::to_owned),
            since: Duration::from_millis(number("since").unwrap_or(0)),
        })
    }

    /// The receiver has the entries from `from` on and before `to`. Says whether that is how much it has now: not if
    /// another sent them, or sends them anew.
    pub async fn forward(&self, receiver: &str, from: u64, to: u64) -> Result<bool, StorageError> {
        let (from, to) = (whole(from), whole(to));
        let within = i64::try_from(SETTLES_WITHIN.as_millis()).unwrap_or(i64::MAX);
        // What stands on the right is as it was before; what is not there is older than anything.
        let old = doc! { "$lt": ["$marked_at", { "$subtract": ["$$NOW", within] }] };
        let onward = doc! { "$set": {
            "next": to,
            "sent_at": "$$NOW",
            "settled": { "$cond": [old.clone(), or_nothing("$mark"), or_nothing("$settled")] },
            "mark": { "$cond": [old.clone(), to, "$mark"] },
            "marked_at": { "$cond": [old, "$$NOW", "$marked_at"] },
        } };
        let well = doc! { "$unset": "trouble" };
        self.move_from(receiver, from, vec![onward, well]).await
    }

    /// Entries from `from` on may not have arrived, and neither may what was sent shortly before: sending begins again
    /// with that.
    pub async fn forward_again(
        &self,
        receiver: &str,
        from: u64,
        trouble: &str,
    ) -> Result<bool, StorageError> {
        let back = doc! { "$set": {
            "next": or_nothing("$settled"),
            "mark": or_nothing("$settled"),
            "marked_at": "$$NOW",
            "sent_at": { "$ifNull": ["$sent_at", "$$NOW"] },
            "trouble": { "$literal": trouble },
        } };
        self.move_from(receiver, whole(from), vec![back]).await
    }

    async fn move_from(
        &self,
        receiver: &str,
        from: i64,
        update: Vec<Document>,
    ) -> Result<bool, StorageError> {
        let same = doc! { "_id": id(receiver), "next": from };
        // Of a receiver that there never was, nothing is kept.
        let state = self.state();
        match state.update_one(same, update).upsert(from == 0).await {
            Ok(moved) => Ok(moved.matched_count == 1 || moved.upserted_id.is_some()),
            // There was one, and it has more by now.
            Err(error) if is_duplicate_key(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A number of entries, or 0 where there is none.
fn or_nothing(field: &str) -> Document {
    doc! { "$ifNull": [field, 0_i64] }
}

fn id(receiver: &str) -> String {
    format!("{PREFIX}{receiver}")
}
