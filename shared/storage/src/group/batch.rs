//! One transaction that applies a batch of units, and the reading that tells who was too late.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::error::Error as MongoError;
use mongodb::options::ReadConcern;
use mongodb::{ClientSession, Database};

use super::unit::{Unit, Write};
use crate::error::CommitError;
use crate::tx::{Abort, Body};

/// The code of a unique index's refusal.
const DUPLICATE_KEY: i32 = 11000;

/// The transaction: all inserts and updates of the units, one command per collection and kind.
pub(super) struct Batch<'a> {
    pub(super) database: &'a Database,
    pub(super) units: &'a [Unit],
}

/// Why the server did not take the batch.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Some document was not as its guard says.
    Changed,
    /// A unique index refused.
    Duplicate {
        collection: &'static str,
        key: String,
    },
}

impl Body for Batch<'_> {
    type Output = ();
    type Refusal = Refusal;

    async fn run(&mut self, session: &mut ClientSession) -> Result<(), Abort<Refusal>> {
        let mut inserts: BTreeMap<&'static str, Vec<Document>> = BTreeMap::new();
        let mut updates: BTreeMap<&'static str, Vec<Document>> = BTreeMap::new();
        for write in self.units.iter().flat_map(|unit| &unit.writes) {
            match write {
                Write::Insert { row, document } => {
                    inserts
                        .entry(row.collection)
                        .or_default()
                        .push(document.clone());
                }
                Write::Update { row, .. } | Write::Ensure { row, .. } => {
                    updates
                        .entry(row.collection)
                        .or_default()
                        .extend(write.update_statement());
                }
            }
        }
        for (collection, statements) in updates {
            let due = statements.len();
            let command = doc! { "update": collection, "updates": statements, "ordered": true };
            self.send(session, collection, command, due).await?;
        }
        for (collection, documents) in inserts {
            let due = documents.len();
            let command = doc! { "insert": collection, "documents": documents, "ordered": true };
            self.send(session, collection, command, due).await?;
        }
        Ok(())
    }
}

impl Batch<'_> {
    async fn send(
        &self,
        session: &mut ClientSession,
        collection: &'static str,
        command: Document,
        due: usize,
    ) -> Result<(), Abort<Refusal>> {
        let reply = self.database.run_command(command).session(session).await?;
        if let Some(error) = reply
            .get_array("writeErrors")
            .ok()
            .and_then(|errors| errors.first())
        {
            return Err(refusal(collection, error));
        }
        let done = reply.get_i32("n").unwrap_or_default();
        if usize::try_from(done).ok() == Some(due) {
            Ok(())
        } else {
            Err(Abort::Refused(Refusal::Changed))
        }
    }
}

fn refusal(collection: &'static str, error: &Bson) -> Abort<Refusal> {
    let error = error.as_document().cloned().unwrap_or_default();
    let message = error.get_str("errmsg").unwrap_or("no message").to_owned();
    if error
        .get_i32("code")
        .is_ok_and(|code| code == DUPLICATE_KEY)
    {
        let key = error
            .get_document("keyPattern")
            .map_or(message, ToString::to_string);
        Abort::Refused(Refusal::Duplicate { collection, key })
    } else {
        Abort::Database(MongoError::custom(format!("{collection}: {message}")))
    }
}

/// Reads, outside any transaction, what the units' documents are now, and says for each unit why it cannot be
/// applied, or nothing if it looks as if it could.
pub(super) async fn losers(
    database: &Database,
    units: &[Unit],
) -> Result<Vec<Option<CommitError>>, MongoError> {
    let mut ids: BTreeMap<&'static str, Vec<Bson>> = BTreeMap::new();
    for write in units.iter().flat_map(|unit| &unit.writes) {
        ids.entry(write.row().collection)
            .or_default()
            .push(write.row().id.clone());
    }
    let mut present: Vec<(&'static str, Document)> = Vec::new();
    for (collection, ids) in ids {
        let found: Vec<Document> = database
            .collection::<Document>(collection)
            .find(doc! { "_id": { "$in": ids } })
            .read_concern(ReadConcern::local())
            .await?
            .try_collect()
            .await?;
        present.extend(found.into_iter().map(|document| (collection, document)));
    }
    Ok(units
        .iter()
        .map(|unit| {
            unit.writes
                .iter()
                .find_map(|write| objection(write, &present))
        })
        .collect())
}

fn objection(write: &Write, present: &[(&'static str, Document)]) -> Option<CommitError> {
    let row = write.row();
    let found = present
        .iter()
        .find(|(collection, document)| {
            *collection == row.collection && document.get("_id") == Some(&row.id)
        })
        .map(|(_, document)| document);
    let id = row.id_text();
    let collection = row.collection;
    match (write, found) {
        (Write::Insert { .. }, Some(_)) => Some(CommitError::Duplicate {
            collection,
            key: id,
        }),
        (Write::Update { .. }, None) => Some(CommitError::Changed { collection, id }),
        (Write::Update { guard, .. }, Some(document)) => {
            let stands = guard
                .iter()
                .all(|(field, due)| document.get(field) == Some(due));
            (!stands).then_some(CommitError::Changed { collection, id })
        }
        (Write::Insert { .. }, None) | (Write::Ensure { .. }, _) => None,
    }
}
