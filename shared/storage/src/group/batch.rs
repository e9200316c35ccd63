//! One transaction that applies a batch of units, and the reading that tells who was too late.

use std::collections::BTreeMap;

use bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use bson::{Bson, Document, doc, rawdoc};
use futures_util::TryStreamExt;
use mongodb::error::Error as MongoError;
use mongodb::{ClientSession, Database};

use super::unit::{Row, Unit, Write};
use crate::audit::outbox;
use crate::collections::AUDIT_OUTBOX;
use crate::error::{CommitError, DUPLICATE_KEY, StorageError};
use crate::tx::{Abort, Body};

/// The transaction: all that the units write, one command per collection and kind.
pub(super) struct Batch<'a> {
    database: &'a Database,
    commands: Vec<Command>,
}

/// Why the server did not take the batch.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Some document was not as its guard says.
    Changed,
    /// A unique index refused.
    Duplicate {
        /// Whose write it refused, counted from 0.
        unit: usize,
        collection: &'static str,
        key: String,
    },
}

/// One command of the transaction, encoded once for all its runs.
struct Command {
    collection: &'static str,
    encoded: RawDocumentBuf,
    /// Whose each of its statements is.
    units: Vec<usize>,
}

/// What a command does, in the order in which it is sent: first what another may have been faster with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Update,
    Remove,
    Insert,
}

#[derive(Default)]
struct Statements {
    encoded: RawArrayBuf,
    units: Vec<usize>,
}

impl<'a> Batch<'a> {
    pub(super) fn new<'u>(
        database: &'a Database,
        units: impl Iterator<Item = &'u Unit>,
    ) -> Result<Self, StorageError> {
        // In the order of the collections, so that two batches do not hold what the other waits for.
        let mut statements: BTreeMap<(Kind, &'static str), Statements> = BTreeMap::new();
        let mut events: Vec<&str> = Vec::new();
        for (index, unit) in units.enumerate() {
            events.extend(unit.events.iter().map(String::as_str));
            for write in &unit.writes {
                let (kind, encoded) = match write {
                    Write::Insert { document, .. } => {
                        (Kind::Insert, RawDocumentBuf::try_from(document)?)
                    }
                    Write::Update { row, guard, update } => {
                        let statement = doc! { "q": guarded(row, guard), "u": update.clone() };
                        (Kind::Update, RawDocumentBuf::try_from(&statement)?)
                    }
                    Write::Ensure { row, pipeline } => {
                        let statement = doc! {
                            "q": { "_id": row.id.clone() }, "u": pipeline.clone(), "upsert": true,
                        };
                        (Kind::Update, RawDocumentBuf::try_from(&statement)?)
                    }
                    Write::Remove { row, guard } => {
                        let statement = doc! { "q": guarded(row, guard), "limit": 1 };
                        (Kind::Remove, RawDocumentBuf::try_from(&statement)?)
                    }
                };
                let statements = statements
                    .entry((kind, write.row().collection))
                    .or_default();
                statements.encoded.push(encoded);
                statements.units.push(index);
            }
        }
        if !events.is_empty() {
            // One document for all of them: each costs as much as one with a hundred events.
            let put = statements.entry((Kind::Insert, AUDIT_OUTBOX)).or_default();
            put.encoded.push(outbox::document(&events));
            // No index refuses it, so that it is nobody's fault.
            put.units.push(0);
        }
        let commands = statements
            .into_iter()
            .map(|((kind, collection), statements)| {
                let (verb, list) = match kind {
                    Kind::Insert => (cstr!("insert"), cstr!("documents")),
                    Kind::Update => (cstr!("update"), cstr!("updates")),
                    Kind::Remove => (cstr!("delete"), cstr!("deletes")),
                };
                let mut encoded = rawdoc! {};
                encoded.append(verb, collection);
                encoded.append(list, statements.encoded);
                encoded.append(cstr!("ordered"), true);
                Command {
                    collection,
                    encoded,
                    units: statements.units,
                }
            })
            .collect();
        Ok(Self { database, commands })
    }
}

/// The filter that finds a document only if it is as the guard says.
fn guarded(row: &Row, guard: &Document) -> Document {
    let mut filter = doc! { "_id": row.id.clone() };
    filter.extend(guard.clone());
    filter
}

impl Body for Batch<'_> {
    type Output = ();
    type Refusal = Refusal;

    async fn run(&mut self, session: &mut ClientSession) -> Result<(), Abort<Refusal>> {
        for command in &self.commands {
            let reply = self
                .database
                .run_raw_command(command.encoded.clone())
                .session(&mut *session)
                .await?;
            command.judge(&reply)?;
        }
        Ok(())
    }
}

impl Command {
    /// What the server's reply means: every statement has to have met its document.
    fn judge(&self, reply: &Document) -> Result<(), Abort<Refusal>> {
        let write_errors = reply.get_array("writeErrors");
        if let Some(error) = write_errors.ok().and_then(|errors| errors.first()) {
            return Err(self.refusal(error));
        }
        let done = reply.get_i32("n").unwrap_or_default();
        if usize::try_from(done) == Ok(self.units.len()) {
            Ok(())
        } else {
            Err(Abort::Refused(Refusal::Changed))
        }
    }

    fn refusal(&self, error: &Bson) -> Abort<Refusal> {
        let collection = self.collection;
        let error = error.as_document().cloned().unwrap_or_default();
        let message = error.get_str("errmsg").unwrap_or("no message").to_owned();
        let unit = error
            .get_i32("index")
            .ok()
            .and_then(|index| self.units.get(usize::try_from(index).ok()?));
        match (error.get_i32("code"), unit) {
            (Ok(DUPLICATE_KEY), Some(unit)) => {
                let key = error
                    .get_document("keyPattern")
                    .map_or(message, ToString::to_string);
                Abort::Refused(Refusal::Duplicate {
                    unit: *unit,
                    collection,
                    key,
                })
            }
            _ => Abort::Database(MongoError::custom(format!("{collection}: {message}"))),
        }
    }
}

/// A session whose reads wait until a majority has all that the primary has applied by now.
///
/// What a transaction ran into may be on the primary alone for some milliseconds. Whoever is told of it reads again,
/// with a majority's view, and has to find it there; and what is not yet a majority's could still be undone.
async fn up_to_date(database: &Database) -> Result<ClientSession, MongoError> {
    let mut session = database.client().start_session().await?;
    // The reply tells the session how far the primary is.
    database
        .run_command(doc! { "ping": 1 })
        .session(&mut session)
        .await?;
    Ok(session)
}

/// Waits until everybody can read what refused a unit.
pub(super) async fn settle(database: &Database, collection: &str) -> Result<(), MongoError> {
    let mut session = up_to_date(database).await?;
    let nothing = doc! { "_id": Bson::MinKey };
    database
        .collection::<Document>(collection)
        .find_one(nothing)
        .session(&mut session)
        .await
        .map(|_| ())
}

/// Reads, outside any transaction, what the units' documents are now, and says for each unit why it cannot be
/// applied, or nothing if it looks as if it could.
pub(super) async fn losers(
    database: &Database,
    units: &[&Unit],
) -> Result<Vec<Option<CommitError>>, MongoError> {
    let mut ids: BTreeMap<&'static str, Vec<Bson>> = BTreeMap::new();
    for write in units.iter().flat_map(|unit| &unit.writes) {
        // An `Ensure` is never too late.
        if !matches!(write, Write::Ensure { .. }) {
            ids.entry(write.row().collection)
                .or_default()
                .push(write.row().id.clone());
        }
    }
    let mut session = up_to_date(database).await?;
    let mut present: Vec<(&'static str, Document)> = Vec::new();
    for (collection, ids) in ids {
        let found: Vec<Document> = database
            .collection::<Document>(collection)
            .find(doc! { "_id": { "$in": ids } })
            .session(&mut session)
            .await?
            .stream(&mut session)
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
    match (write, found) {
        (Write::Insert { .. }, Some(_)) => Some(CommitError::Duplicate {
            collection: row.collection,
            key: row.id_text(),
        }),
        (Write::Update { .. } | Write::Remove { .. }, None) => Some(row.changed()),
        (Write::Update { guard, .. } | Write::Remove { guard, .. }, Some(document)) => {
            let stands = guard
                .iter()
                .all(|(path, due)| at(document, path) == Some(due));
            (!stands).then(|| row.changed())
        }
        (Write::Insert { .. }, None) | (Write::Ensure { .. }, _) => None,
    }
}

/// What a document has at a path with dots.
fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((field, rest)) => at(document.get_document(field).ok()?, rest),
    }
}
