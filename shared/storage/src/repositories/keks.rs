//! Which KEK seals: one fact of the whole cluster.
//!
//! Whoever stores a secret passes a **gate** of the KEK that it is sealed under, in the same transaction. Of all KEKs, one
//! has its gates open: the one that seals. A rotation opens the gates of another and closes those, in one transaction. So
//! what was sealed before a rotation and comes after it is refused, however long its process stood still; and once nothing
//! is left under a KEK whose gates are closed, nothing ever will be. That is written down then, and so which KEKs are in use
//! takes no search among secrets.
//!
//! A KEK that is named by its place and not by its content has a **proof** here: something sealed under it, which whatever is
//! in that place later has to open.

use bson::{Bson, Document, doc};
use certfleet_secrets::{KekId, Sealed};
use futures_util::TryStreamExt;
use mongodb::{ClientSession, Collection, Database};

use super::by_id;
use crate::collections::KEKS;
use crate::documents::binary;
use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};

const SEALS: &str = "seals";
/// So many secrets can be stored at once without one waiting for another.
const GATES: u32 = 16;
/// How the ids of the first gates begin; the KEK's follows.
const FIRST_GATE: &str = "gate/0/";

/// Which KEK seals.
#[derive(Clone)]
pub struct Keks {
    collection: Collection<Document>,
}

/// The KEK that seals, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    /// Its id.
    pub kek: KekId,
    /// How often that has changed.
    pub turn: i64,
}

/// A KEK that secrets can lie under and that seals no more, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retiring {
    /// Its id.
    pub kek: String,
    /// How often its gates were opened; null before the first time that was counted.
    opened: Bson,
}

impl Keks {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(KEKS),
        }
    }

    /// The KEK that seals; none if nothing was ever sealed by a build that keeps it.
    pub async fn sealing(&self) -> Result<Option<Sealing>, StorageError> {
        let Some(found) = self.collection.find_one(by_id(&SEALS)).await? else {
            return Ok(None);
        };
        let read = || {
            let kek = found.get_str("kek").ok()?.parse().ok()?;
            let turn = found.get_i64("turn").ok()?;
            Some(Sealing { kek, turn })
        };
        let corrupt = || Corrupt {
            collection: KEKS,
            id: SEALS.to_owned(),
            why: "kek and turn are due".to_owned(),
        };
        Ok(Some(read().ok_or_else(corrupt)?))
    }

    /// The KEKs that secrets can lie under: those that seal, and those that sealed and of which it is not written down that
    /// nothing is left.
    pub async fn in_use(&self) -> Result<Vec<String>, StorageError> {
        let gates = self.first_gates(doc! { "emptied": { "$ne": true } });
        Ok(gates.await?.into_iter().map(|gate| gate.kek).collect())
    }

    /// Those of them whose gates are closed.
    pub async fn retiring(&self) -> Result<Vec<Retiring>, StorageError> {
        self.first_gates(doc! { "emptied": { "$ne": true }, "open": false })
            .await
    }

    /// Writes down that nothing is left under this KEK, which a search found that began after it was read; does nothing if its
    /// gates were opened again.
    pub async fn emptied(&self, kek: &Retiring) -> Result<(), StorageError> {
        let as_read = doc! { "_id": format!("{FIRST_GATE}{}", kek.kek), "open": false, "opened": &kek.opened };
        let emptied = doc! { "$set": { "emptied": true } };
        self.collection.update_one(as_read, emptied).await?;
        Ok(())
    }

    /// The first gate of each KEK, where it is like this. Reads an index for these alone.
    async fn first_gates(&self, like: Document) -> Result<Vec<Retiring>, StorageError> {
        let mut filter = doc! { "_id": { "$gte": FIRST_GATE, "$lt": "gate/00" } };
        filter.extend(like);
        let gates: Vec<Document> = self.collection.find(filter).await?.try_collect().await?;
        let kek = |gate: Document| {
            let kek = gate.get_str("_id").ok()?.strip_prefix(FIRST_GATE)?;
            let opened = gate.get("opened").cloned().unwrap_or(Bson::Null);
            let kek = kek.to_owned();
            Some(Retiring { kek, opened })
        };
        Ok(gates.into_iter().filter_map(kek).collect())
    }

    /// The unit that makes this the first KEK that seals; refused as a duplicate if there is one.
    pub fn begin(&self, kek: &KekId) -> Unit {
        let first = Write::Insert {
            row: Row::new(KEKS, SEALS),
            document: doc! { "_id": SEALS, "kek": kek.as_str(), "turn": 1_i64 },
        };
        Unit::of(first).and(all_gates(kek, true))
    }

    /// The unit that has another KEK seal from now on; too late if it is not as it was read.
    pub fn switch(&self, from: &Sealing, to: &KekId) -> Unit {
        let turn = Write::Update {
            row: Row::new(KEKS, SEALS),
            guard: doc! { "turn": from.turn },
            update: doc! { "$set": { "kek": to.as_str() }, "$inc": { "turn": 1_i64 } }.into(),
        };
        Unit::of(turn)
            .and(all_gates(to, true))
            .and(all_gates(&from.kek, false))
    }

    /// What was sealed under this KEK to know it again; none if it was never needed.
    pub(crate) async fn proof(&self, kek: &KekId) -> Result<Option<Vec<u8>>, StorageError> {
        let id = proof_id(kek);
        let Some(found) = self.collection.find_one(by_id(&id)).await? else {
            return Ok(None);
        };
        match found.get_binary_generic("sealed") {
            Ok(sealed) => Ok(Some(sealed.clone())),
            Err(_) => Err(Corrupt {
                collection: KEKS,
                id,
                why: "sealed is due".to_owned(),
            }
            .into()),
        }
    }

    /// The unit that keeps what was sealed under this KEK to know it again; refused as a duplicate if there is something.
    pub(crate) fn keep_proof(kek: &KekId, sealed: &Sealed) -> Unit {
        let id = proof_id(kek);
        Unit::of(Write::Insert {
            document: doc! { "_id": &id, "sealed": binary(sealed.as_bytes()) },
            row: Row::new(KEKS, id),
        })
    }

    /// The unit by which a secret of this name passes a gate of its KEK; too late if they are closed.
    pub fn pass(&self, kek: &KekId, name: &str) -> Unit {
        Unit::of(Write::Update {
            row: Row::new(KEKS, gate_of(kek, name)),
            guard: doc! { "open": true },
            update: doc! { "$inc": { "passed": 1_i64 } }.into(),
        })
    }
}

/// Passes the gate of the KEK by which a secret of this name is stored, in a transaction. Says whether it is open.
pub(super) async fn pass_in(
    session: &mut ClientSession,
    database: &Database,
    kek: &KekId,
    name: &str,
) -> mongodb::error::Result<bool> {
    let open = doc! { "_id": gate_of(kek, name), "open": true };
    let passed = doc! { "$inc": { "passed": 1_i64 } };
    let gates = database.collection::<Document>(KEKS);
    let done = gates.update_one(open, passed).session(session).await?;
    Ok(done.matched_count == 1)
}

fn all_gates(kek: &KekId, open: bool) -> Unit {
    // What is there to be searched for is not known of either.
    let mut set = doc! { "open": open, "emptied": false };
    if open {
        let opened = doc! { "$add": [{ "$ifNull": ["$opened", 0_i64] }, 1_i64] };
        set.insert("opened", opened);
    }
    (0..GATES).fold(Unit::default(), |unit, number| {
        unit.and(Unit::of(Write::Ensure {
            row: Row::new(KEKS, gate(kek, number)),
            pipeline: vec![doc! { "$set": &set }],
        }))
    })
}

/// The record of what a KEK is known again by.
pub(crate) fn proof_id(kek: &KekId) -> String {
    format!("proof/{kek}")
}

fn gate_of(kek: &KekId, name: &str) -> String {
    let sum: u32 = name.bytes().map(u32::from).sum();
    gate(kek, sum % GATES)
}

fn gate(kek: &KekId, number: u32) -> String {
    format!("gate/{number}/{kek}")
}
