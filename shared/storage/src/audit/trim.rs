//! The beginning of the log goes, once it was kept for long enough.
//!
//! What goes is a whole range, from the log's start to a signed checkpoint, and it is verified once more before it goes: what
//! was tampered with stays, for whoever looks into it. First the start moves on to that checkpoint, with the act on record, in
//! one transaction; then what is before it is removed. Whoever dies in between, the next run removes the rest. The checkpoint
//! stays: with its right edge of the tree, what comes after is verified and proven as before.

use bson::raw::RawDocumentBuf;
use bson::{Document, doc};
use certfleet_audit::{Checkpoint, CheckpointKey, Event, Head, Tampering, Verifier};
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::Timestamp;
use futures_util::TryStreamExt;
use mongodb::{ClientSession, Collection};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;

use super::state::{START, head_document, whole};
use super::{AuditLog, Block, SignedCheckpoint, outbox};
use crate::collections::AUDIT_OUTBOX;
use crate::error::{StorageError, is_duplicate_key};
use crate::tx::{Abort, Body, run_tx};

/// One run reads about so many entries, and as many checkpoints at most: the next goes on.
const ENOUGH: u64 = 200_000;
const MOST_CHECKPOINTS: i64 = 20_000;

/// What became of the log's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trimmed {
    /// Nothing is old enough, or another was faster.
    Nothing,
    /// The log begins with this entry now.
    To(u64),
    /// What is old enough is not what was signed: all of it stays.
    Refused(String),
}

/// Which entries may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MayGo {
    /// Of acts before this moment.
    pub before: Timestamp,
    /// Numbered below this: others still want the rest.
    pub below: u64,
}

#[derive(Deserialize)]
struct Glance<'a> {
    at: &'a str,
}

impl AuditLog {
    /// Lets go what may go, as far as one run comes. `record` makes the event of it, by where the log begins then.
    pub async fn trim(
        &self,
        may_go: MayGo,
        record: impl Fn(&Head) -> Event,
    ) -> Result<Trimmed, StorageError> {
        let start = self.start().await?;
        // Of a run that did not come to its end.
        self.remove_before(start.size()).await?;
        let Some(key) = self.key().await? else {
            return Ok(Trimmed::Nothing);
        };
        let to = match self.last_to_go(&start, may_go, &key).await? {
            Ok(Some(to)) => to,
            Ok(None) => return Ok(Trimmed::Nothing),
            Err(why) => return Ok(Trimmed::Refused(why)),
        };
        let event = record(&to.head);
        let line = event
            .line()
            .map_err(|error| StorageError::Unrecordable(error.to_string()))?;
        let mut step = Step {
            state: self.state(),
            outbox: self.database.collection(AUDIT_OUTBOX),
            entry: outbox::document(&[&line]),
            from: start.size(),
            to: to.head,
        };
        let client = self.database.client();
        if run_tx(client, &self.metrics, "audit-trim", &mut step)
            .await?
            .is_err()
        {
            return Ok(Trimmed::Nothing);
        }
        reach(CrashPoint::AuditStartMoved);
        let begins = step.to.size();
        self.remove_before(begins).await?;
        Ok(Trimmed::To(begins))
    }

    /// The last checkpoint before which all may go, everything up to it being what was signed.
    async fn last_to_go(
        &self,
        start: &Head,
        may_go: MayGo,
        key: &CheckpointKey,
    ) -> Result<Result<Option<SignedCheckpoint>, String>, StorageError> {
        let signed = self
            .next_checkpoints(start.size(), MOST_CHECKPOINTS)
            .await?;
        let mut opened = Vec::with_capacity(signed.len());
        for checkpoint in &signed {
            let size = checkpoint.head.size();
            match Checkpoint::open(&checkpoint.note, key) {
                Ok(open) if open == Checkpoint::of(key.origin(), &checkpoint.head) => {
                    opened.push(open);
                }
                Ok(_) => return Ok(Err(format!("the checkpoint of {size} entries is another"))),
                Err(error) => {
                    return Ok(Err(format!("the checkpoint of {size} entries: {error}")));
                }
            }
        }
        let mut verifier = Verifier::new(start.clone(), opened);
        let mut signed = signed.into_iter().peekable();
        let mut last = None;
        let mut blocks = self.blocks_from(start.size()).await?;
        while let Some(block) = blocks.try_next().await? {
            let end = block.first + u64::try_from(block.events.len()).unwrap_or(u64::MAX);
            if end <= start.size() {
                continue;
            }
            let enough = last.is_some() && verifier.size() - start.size() >= ENOUGH;
            if enough || end > may_go.below || !is_older(&block, may_go.before) {
                break;
            }
            let entries = block.events.iter().map(String::as_bytes);
            let taken: Result<(), Tampering> = verifier.take(block.first, entries, &block.links);
            if let Err(tampering) = taken {
                return Ok(Err(tampering.to_string()));
            }
            while let Some(checkpoint) = signed.next_if(|next| next.head.size() <= end) {
                // One that was signed in the middle of a block has nothing whole before it.
                last = Some(checkpoint)
                    .filter(|found| found.head.size() == end)
                    .or(last);
            }
        }
        Ok(Ok(last))
    }

    /// Removes the blocks and checkpoints before the start.
    async fn remove_before(&self, start: u64) -> Result<(), StorageError> {
        if start == 0 {
            return Ok(());
        }
        let before = doc! { "_id": { "$lt": whole(start) } };
        self.log().delete_many(before.clone()).await?;
        self.checkpoints().delete_many(before).await?;
        Ok(())
    }
}

/// Whether all of a block's acts are of before this moment. What does not say when it was is kept.
fn is_older(block: &Block, before: Timestamp) -> bool {
    block.events.iter().all(|event| {
        let glance: Option<Glance<'_>> = serde_json::from_str(event).ok();
        let at = glance.and_then(|glance| Timestamp::parse(glance.at, &Rfc3339).ok());
        at.is_some_and(|at| at < before)
    })
}

struct TooLate;

/// The start moves on, and that is on record.
struct Step {
    state: Collection<Document>,
    outbox: Collection<RawDocumentBuf>,
    entry: RawDocumentBuf,
    from: u64,
    to: Head,
}

impl Body for Step {
    type Output = ();
    type Refusal = TooLate;

    async fn run(&mut self, session: &mut ClientSession) -> Result<(), Abort<TooLate>> {
        let mut start = head_document(&self.to);
        if self.from == 0 {
            start.insert("_id", START);
            match self.state.insert_one(start).session(&mut *session).await {
                Err(error) if is_duplicate_key(&error) => return Err(Abort::Refused(TooLate)),
                result => result.map(drop)?,
            }
        } else {
            let same = doc! { "_id": START, "size": whole(self.from) };
            let moved = self
                .state
                .update_one(same, doc! { "$set": start })
                .session(&mut *session)
                .await?;
            if moved.matched_count != 1 {
                return Err(Abort::Refused(TooLate));
            }
        }
        self.outbox.insert_one(&self.entry).session(session).await?;
        Ok(())
    }
}
