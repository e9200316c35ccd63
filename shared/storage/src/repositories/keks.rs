//! Which KEK seals: one fact of the whole cluster.
//!
//! Whoever stores a secret passes a **gate** of the KEK that it is sealed under, in the same transaction. Of all KEKs, one
//! has its gates open: the one that seals. A rotation opens the gates of another and closes those, in one transaction. So
//! what was sealed before a rotation and comes after it is refused, however long its process stood still; and once nothing
//! is left under a KEK whose gates are closed, nothing ever will be.
//!
//! A KEK that is named by its place and not by its content has a **proof** here: something sealed under it, which whatever is
//! in that place later has to open.

use bson::{Document, doc};
use certfleet_secrets::{KekId, Sealed};
use mongodb::{ClientSession, Collection, Database};

use super::by_id;
use crate::collections::KEKS;
use crate::documents::binary;
use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};

const SEALS: &str = "seals";
/// So many secrets can be stored at once without one waiting for another.
const GATES: u32 = 16;

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
    (0..GATES).fold(Unit::default(), |unit, number| {
        unit.and(Unit::of(Write::Ensure {
            row: Row::new(KEKS, gate(kek, number)),
            pipeline: vec![doc! { "$set": { "open": open } }],
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
