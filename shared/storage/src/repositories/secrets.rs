//! Secrets, sealed elsewhere.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use certfleet_secrets::{KekId, Sealed};
use futures_util::{Stream, StreamExt, TryStreamExt};
use mongodb::error::Error as MongoError;
use mongodb::{ClientSession, Collection, Database};

use super::by_id;
use super::keks::pass_in;
use crate::collections::SECRETS;
use crate::documents::binary;
use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};
use crate::metrics::Metrics;
use crate::tx::{Abort, Body, run_tx};

/// So many documents are found again in one update, each by a search through all.
const OF_ONE_UPDATE: usize = 128;

/// Secrets, sealed elsewhere: here they are bytes under a name.
#[derive(Clone)]
pub struct SealedSecrets {
    database: Database,
    metrics: Metrics,
    collection: Collection<Document>,
}

/// A secret as it lies there: nothing is known of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub sealed: Vec<u8>,
    /// The id of the KEK that it is under.
    pub kek: String,
}

/// A secret that was sealed anew.
#[derive(Debug)]
pub struct Reseal {
    /// As it was read.
    pub before: StoredSecret,
    /// As it is to be.
    pub after: Sealed,
}

impl SealedSecrets {
    /// The collection they lie in, which is part of what they are bound to.
    pub const COLLECTION: &'static str = SECRETS;
    /// The field they lie in, likewise.
    pub const FIELD: &'static str = "sealed";

    pub(crate) fn new(database: &Database, metrics: Metrics) -> Self {
        Self {
            database: database.clone(),
            metrics,
            collection: database.collection(SECRETS),
        }
    }

    /// The sealed bytes of this name.
    pub async fn find(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(document) = self.collection.find_one(by_id(&name)).await? else {
            return Ok(None);
        };
        let sealed = document
            .get_binary_generic(Self::FIELD)
            .map_err(|error| Corrupt {
                collection: SECRETS,
                id: name.to_owned(),
                why: format!("{}: {error}", Self::FIELD),
            })?;
        Ok(Some(sealed.clone()))
    }

    /// How many secrets are sealed under each KEK, by its id. Reads all of them: an index by KEK would cost more with each
    /// secret that is stored or sealed anew than this does with the few looks that people take.
    pub async fn count_by_kek(&self) -> Result<BTreeMap<String, u64>, StorageError> {
        let pipeline = [doc! { "$group": { "_id": "$kek", "count": { "$sum": 1_i64 } } }];
        let found = self.collection.aggregate(pipeline).await?;
        let rows: Vec<Document> = found.try_collect().await?;
        let count = |row: &Document| {
            let count = row.get_i64("count").ok()?.try_into().ok()?;
            Some((row.get_str("_id").ok()?.to_owned(), count))
        };
        Ok(rows.iter().filter_map(count).collect())
    }

    /// Those that are sealed under another KEK than this. Searches through all of them.
    pub async fn under_others(
        &self,
        kek: &KekId,
    ) -> Result<impl Stream<Item = Result<StoredSecret, StorageError>> + Send + use<>, StorageError>
    {
        let others = doc! { "kek": { "$ne": kek.as_str() } };
        let found = self.collection.find(others).batch_size(512).await?;
        Ok(found
            .map_err(StorageError::from)
            .map(|document| Ok(stored(&document?)?)))
    }

    /// Puts what was sealed anew, all of it under one KEK, in place of what was read, where that is still there, and that KEK
    /// still seals. When this returns, a majority has it. Says how many were.
    ///
    /// One transaction of few updates of many documents each: an update of each costs the servers three times as much.
    pub async fn reseal(&self, changes: &[Reseal]) -> Result<u64, StorageError> {
        let Some(first) = changes.first() else {
            return Ok(0);
        };
        let mut step = ResealStep {
            database: &self.database,
            kek: first.after.kek(),
            name: &first.before.name,
            updates: changes.chunks(OF_ONE_UPDATE).map(in_place).collect(),
        };
        let client = self.database.client();
        let done = run_tx(client, &self.metrics, "secrets-reseal", &mut step).await?;
        // Another KEK seals by now, and the next run does this for it.
        Ok(done.unwrap_or(0))
    }

    /// The unit that stores a new secret; refused as a duplicate if there is one of its name.
    pub fn insert(&self, name: &str, sealed: &Sealed) -> Unit {
        let document = document(name, sealed);
        Unit::of(Write::Insert {
            row: Row::new(SECRETS, name),
            document,
        })
    }

    /// Those of these names that there are.
    pub async fn present(&self, names: &[String]) -> Result<Vec<String>, StorageError> {
        let found = self.collection.find(doc! { "_id": { "$in": names } });
        let found = found.projection(doc! { "_id": 1 }).await?;
        let found: Vec<Document> = found.try_collect().await?;
        let name = |document: &Document| Some(document.get_str("_id").ok()?.to_owned());
        Ok(found.iter().filter_map(name).collect())
    }

    /// The unit that removes a secret, which has to be there.
    pub fn remove(&self, name: &str) -> Unit {
        Unit::of(Write::Remove {
            row: Row::new(SECRETS, name),
            guard: Document::new(),
        })
    }

    /// The unit that puts a secret in place of what is there under its name, if anything is.
    pub fn put(&self, name: &str, sealed: &Sealed) -> Unit {
        let document = document(name, sealed);
        let pipeline = vec![doc! { "$replaceWith": { "$literal": document } }];
        Unit::of(Write::Ensure {
            row: Row::new(SECRETS, name),
            pipeline,
        })
    }
}

/// The update that puts these in place of what was read, where that is still there.
fn in_place(changes: &[Reseal]) -> Document {
    let names: Vec<&str> = changes
        .iter()
        .map(|change| change.before.name.as_str())
        .collect();
    let kek = changes.first().map(|change| change.after.kek().as_str());
    let of = |octets: fn(&Reseal) -> &[u8]| {
        let all = changes.iter().map(|change| binary(octets(change)));
        doc! { "$arrayElemAt": [{ "$literal": all.collect::<Vec<_>>() }, "$$at"] }
    };
    let at = doc! { "$indexOfArray": [{ "$literal": names.clone() }, "$_id"] };
    let sealed = format!("${}", SealedSecrets::FIELD);
    let is_same = doc! { "$eq": [sealed, of(|change| &change.before.sealed)] };
    let anew = doc! {
        "_id": "$_id",
        "kek": { "$literal": kek },
        SealedSecrets::FIELD: of(|change| change.after.as_bytes()),
    };
    let either = doc! { "$cond": [is_same, anew, "$$ROOT"] };
    let replaced = doc! { "$replaceWith": { "$let": { "vars": { "at": at }, "in": either } } };
    doc! { "q": { "_id": { "$in": names } }, "u": [replaced], "multi": true }
}

struct GateClosed;

/// Secrets are put in place of others, in one transaction, in which the KEK seals.
struct ResealStep<'a> {
    database: &'a Database,
    kek: &'a KekId,
    name: &'a str,
    updates: Vec<Document>,
}

impl Body for ResealStep<'_> {
    type Output = u64;
    type Refusal = GateClosed;

    async fn run(&mut self, session: &mut ClientSession) -> Result<u64, Abort<GateClosed>> {
        if !pass_in(&mut *session, self.database, self.kek, self.name).await? {
            return Err(Abort::Refused(GateClosed));
        }
        let command = doc! { "update": SECRETS, "updates": &self.updates };
        let reply = self.database.run_command(command).session(session).await?;
        if let Some(error) = reply.get("writeErrors") {
            return Err(MongoError::custom(format!("{SECRETS}: {error}")).into());
        }
        Ok(reply
            .get_i32("nModified")
            .unwrap_or(0)
            .unsigned_abs()
            .into())
    }
}

fn stored(document: &Document) -> Result<StoredSecret, Corrupt> {
    let field = SealedSecrets::FIELD;
    let read = || {
        let name = document.get_str("_id").ok()?.to_owned();
        let sealed = document.get_binary_generic(field).ok()?.clone();
        let kek = document.get_str("kek").ok()?.to_owned();
        Some(StoredSecret { name, sealed, kek })
    };
    read().ok_or_else(|| Corrupt {
        collection: SECRETS,
        id: document.get("_id").map(Bson::to_string).unwrap_or_default(),
        why: format!("{field}: bytes are due, and kek: its id"),
    })
}

fn document(name: &str, sealed: &Sealed) -> Document {
    let kek = sealed.kek().as_str();
    doc! { "_id": name, "kek": kek, SealedSecrets::FIELD: binary(sealed.as_bytes()) }
}
