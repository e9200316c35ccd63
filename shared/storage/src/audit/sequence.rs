//! From the outbox into the log.

use bson::{Bson, Document, doc};
use certfleet_audit::Head;
use certfleet_crash_points::{CrashPoint, reach};
use futures_util::TryStreamExt;
use mongodb::{ClientSession, Collection};

use super::outbox::lines;
use super::state::{HEAD, head_document, whole};
use super::{AuditLog, read};
use crate::error::StorageError;
use crate::tx::{Abort, Body, run_tx};

/// A step takes documents out of the outbox until it has so many events: its transaction is to be short, and its memory
/// bounded, whatever waits.
const ENOUGH: u64 = 2_048;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequenced {
    /// So many events got their numbers; more wait.
    Some(u64),
    /// So many got theirs, or none; no more were waiting.
    All(u64),
    /// Another sequencer was faster; nothing was done.
    TooLate,
}

impl AuditLog {
    /// Gives the events that wait for a number theirs, unless another is at it. What comes meanwhile is left: where there is
    /// always something, this would never end.
    pub async fn sequence_waiting(&self) -> Result<(), StorageError> {
        while let Sequenced::Some(_) = self.sequence().await? {}
        Ok(())
    }

    /// One step: gives the oldest events without a number theirs.
    pub async fn sequence(&self) -> Result<Sequenced, StorageError> {
        let before = self.head().await?;
        let mut found = self.outbox().find(doc! {}).sort(doc! { "_id": 1 }).await?;
        let mut after = before.clone();
        let mut taken = Vec::new();
        let mut blocks = Vec::new();
        let mut block = read::Building::at(before.size());
        let mut more = false;
        while let Some(document) = found.try_next().await? {
            if after.size() - before.size() >= ENOUGH {
                more = true;
                break;
            }
            for line in lines(&document)? {
                if block.is_full() {
                    blocks.push(block.document());
                    block = read::Building::at(after.size());
                }
                block.push(line, after.append(line.as_bytes()));
            }
            taken.extend(document.get("_id").cloned());
        }
        if taken.is_empty() {
            return Ok(Sequenced::All(0));
        }
        blocks.push(block.document());
        let events = after.size() - before.size();
        let mut step = Step {
            outbox: self.outbox(),
            log: self.log(),
            state: self.state(),
            taken,
            blocks,
            before,
            after,
        };
        reach(CrashPoint::EventsNumbered);
        let client = self.database.client();
        match run_tx(client, &self.metrics, "audit-sequence", &mut step).await? {
            Ok(()) if more => Ok(Sequenced::Some(events)),
            Ok(()) => Ok(Sequenced::All(events)),
            Err(TooLate) => Ok(Sequenced::TooLate),
        }
    }

    /// The events that have no number yet.
    pub async fn waiting_events(&self) -> Result<Vec<String>, StorageError> {
        let mut found = self.outbox().find(doc! {}).await?;
        let mut events = Vec::new();
        while let Some(document) = found.try_next().await? {
            events.extend(lines(&document)?.map(str::to_owned));
        }
        Ok(events)
    }

    /// How many documents of events have no number yet.
    pub async fn waiting(&self) -> Result<u64, StorageError> {
        Ok(self.outbox().count_documents(doc! {}).await?)
    }
}

struct TooLate;

struct Step {
    outbox: Collection<Document>,
    log: Collection<Document>,
    state: Collection<Document>,
    taken: Vec<Bson>,
    blocks: Vec<Document>,
    before: Head,
    after: Head,
}

impl Body for Step {
    type Output = ();
    type Refusal = TooLate;

    async fn run(&mut self, session: &mut ClientSession) -> Result<(), Abort<TooLate>> {
        self.advance(session).await?;
        let taken = doc! { "_id": { "$in": &self.taken } };
        let removed = self
            .outbox
            .delete_many(taken)
            .session(&mut *session)
            .await?;
        if usize::try_from(removed.deleted_count) != Ok(self.taken.len()) {
            return Err(Abort::Refused(TooLate));
        }
        self.log
            .insert_many(&self.blocks)
            .session(&mut *session)
            .await?;
        Ok(())
    }
}

impl Step {
    /// On to the new head, if the head is the one that was read.
    async fn advance(&self, session: &mut ClientSession) -> Result<(), Abort<TooLate>> {
        let mut after = head_document(&self.after);
        if self.before.size() == 0 {
            after.insert("_id", HEAD);
            return match self.state.insert_one(after).session(session).await {
                Err(error) if crate::error::is_duplicate_key(&error) => {
                    Err(Abort::Refused(TooLate))
                }
                result => Ok(result.map(|_| ())?),
            };
        }
        let same = doc! { "_id": HEAD, "size": whole(self.before.size()) };
        let moved = self
            .state
            .update_one(same, doc! { "$set": after })
            .session(session)
            .await?;
        if moved.matched_count == 1 {
            Ok(())
        } else {
            Err(Abort::Refused(TooLate))
        }
    }
}
