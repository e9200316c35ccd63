//! One write that a person asks for, beside its event.

use bson::Document;
use bson::raw::RawDocumentBuf;
use certfleet_audit::Event;
use mongodb::{ClientSession, Collection};

use super::outbox;
use crate::collections::AUDIT_OUTBOX;
use crate::error::StorageError;
use crate::metrics::Metrics;
use crate::tx::{Abort, Body, run_tx};

/// What becomes of the document that the filter names.
pub(crate) enum Change {
    /// It is removed.
    Remove,
    /// It is changed.
    Update(Vec<Document>),
    /// It is changed, or made.
    Ensure(Vec<Document>),
}

/// Changes the document that `filter` names and puts `event` on record: both, or neither. Says whether there was such a
/// document to change; if not, nothing was done.
pub(crate) async fn recorded(
    collection: &Collection<Document>,
    filter: Document,
    change: Change,
    event: &Event,
    metrics: &Metrics,
) -> Result<bool, StorageError> {
    let line = event
        .line()
        .map_err(|error| StorageError::Unrecordable(error.to_string()))?;
    let entry = outbox::document(&[&line]);
    let name = collection.namespace().db;
    let client = collection.client();
    let mut act = RecordedAct {
        collection,
        outbox: client.database(&name).collection(AUDIT_OUTBOX),
        filter,
        change,
        entry,
    };
    let done = run_tx(client, metrics, "recorded-act", &mut act).await?;
    Ok(done.is_ok())
}

struct NoSuchDocument;

struct RecordedAct<'a> {
    collection: &'a Collection<Document>,
    outbox: Collection<RawDocumentBuf>,
    filter: Document,
    change: Change,
    entry: RawDocumentBuf,
}

impl Body for RecordedAct<'_> {
    type Output = ();
    type Refusal = NoSuchDocument;

    async fn run(&mut self, session: &mut ClientSession) -> Result<(), Abort<NoSuchDocument>> {
        if self.apply(session).await? == 0 {
            return Err(Abort::Refused(NoSuchDocument));
        }
        self.outbox.insert_one(&self.entry).session(session).await?;
        Ok(())
    }
}

impl RecordedAct<'_> {
    /// How many documents there were to change, or were made: one, or none.
    async fn apply(&self, session: &mut ClientSession) -> mongodb::error::Result<u64> {
        let filter = self.filter.clone();
        let (update, upsert) = match &self.change {
            Change::Remove => {
                let removed = self.collection.delete_one(filter).session(session).await?;
                return Ok(removed.deleted_count);
            }
            Change::Update(update) => (update, false),
            Change::Ensure(update) => (update, true),
        };
        let changed = self
            .collection
            .update_one(filter, update.clone())
            .upsert(upsert)
            .session(session)
            .await?;
        Ok(changed.matched_count + u64::from(changed.upserted_id.is_some()))
    }
}
