//! Which KEK seals: one fact of the whole cluster.
//!
//! Whoever stores a secret passes a **gate** of the KEK that it is sealed under, in the same transaction. Of all KEKs, one
//! has its gates open: the one that seals. A rotation opens the gates of another and closes those, in one transaction. So
//! what was sealed before a rotation and comes after it is refused, however long its process stood still; and once nothing
//! is left under a KEK whose gates are closed, nothing ever will be.

use bson::{Document, doc};
use certfleet_secrets::KekId;
use mongodb::{Collection, Database};

use super::by_id;
use crate::collections::KEKS;
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

    /// The unit by which a secret of this name passes a gate of its KEK; too late if they are closed.
    pub fn pass(&self, kek: &KekId, name: &str) -> Unit {
        let sum: u32 = name.bytes().map(u32::from).sum();
        Unit::of(Write::Update {
            row: gate(kek, sum % GATES),
            guard: doc! { "open": true },
            update: doc! { "$inc": { "passed": 1_i64 } }.into(),
        })
    }
}

fn all_gates(kek: &KekId, open: bool) -> Unit {
    (0..GATES).fold(Unit::default(), |unit, number| {
        unit.and(Unit::of(Write::Ensure {
            row: gate(kek, number),
            pipeline: vec![doc! { "$set": { "open": open } }],
        }))
    })
}

fn gate(kek: &KekId, number: u32) -> Row {
    Row::new(KEKS, format!("gate/{number}/{kek}"))
}
