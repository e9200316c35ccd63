//! The state of rate limits: one document per limit and what it is counted for, judged by the server's clock.
//!
//! **Promise.** Of all charges on all replicas never more are admitted than the rate allows. A charge is one
//! `findAndModify` of one document, answered when a majority has it in its journal, so that no failover undoes what was
//! let through. A process that dies between a charge and its act leaves a limit that is too strict until that has
//! drained, never one that is too lax.
//!
//! No document is shared by those who are not limited together. A refused charge changes nothing, and so costs no write.
//! A document whose charges have drained means as much as none: a TTL index removes it.

mod pauses;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use certfleet_domain::{Charge, LimitKey, Rate, Verdict};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};

use crate::collections::LIMITS;
use crate::digest::hex_digest;
use crate::error::{Corrupt, StorageError, is_duplicate_key};
use crate::group::{Row, Unit, Write};
use crate::metrics::Metrics;

pub use pauses::{Pause, Standing};

/// The state of rate limits, and the names that are paused.
#[derive(Clone)]
pub struct LimitStates {
    collection: Collection<Document>,
    metrics: Metrics,
}

impl LimitStates {
    pub(crate) fn new(database: &Database, metrics: Metrics) -> Self {
        Self {
            collection: database.collection(LIMITS),
            metrics,
        }
    }

    /// Charges one, if the rate allows it.
    ///
    /// # Errors
    /// Whether it was charged is then not known.
    pub async fn charge(&self, key: &LimitKey, rate: Rate) -> Result<Verdict, StorageError> {
        let token = ObjectId::new();
        let found = loop {
            let attempt = self
                .collection
                .find_one_and_update(doc! { "_id": id_of(key) }, charging(rate, token))
                .upsert(true)
                .return_document(ReturnDocument::After)
                .projection(doc! { "tat": 1, "token": 1, "at": 1, "now": now() })
                .await;
            match attempt {
                // Two have made the same document; the other's is there now, and nothing of this one is.
                Err(error) if is_duplicate_key(&error) => {}
                attempt => break attempt?,
            }
        };
        let state = State::of(key, &found.unwrap_or_default())?;
        if state.token == Some(token) {
            // As it was written: a statement that ran before, and whose answer was lost, is answered with the document as
            // it left it, and not with what else was asked for.
            let at = state.at.ok_or_else(|| corrupt(key, "at"))?;
            let interval = rate.interval();
            return Ok(Verdict::Admitted(Charge { at, interval }));
        }
        let now = state.now.ok_or_else(|| corrupt(key, "now"))?;
        Ok(rate.charge(state.tat, now))
    }

    /// Gives back what has not drained of a charge whose act was not done.
    pub async fn give_back(&self, key: &LimitKey, charge: Charge) -> Result<(), StorageError> {
        self.collection
            .update_one(doc! { "_id": id_of(key) }, giving_back(charge))
            .await?;
        Ok(())
    }

    /// The unit that gives back what has not drained of a charge.
    pub fn give_back_with(&self, key: &LimitKey, charge: Charge) -> Unit {
        Unit::of(Write::Ensure {
            row: Row::new(LIMITS, id_of(key)),
            pipeline: giving_back(charge),
        })
    }
}

/// One length for subjects of any, and nobody's address or name in the clear.
fn id_of(key: &LimitKey) -> String {
    format!("{}/{}", key.limit.name(), hex_digest(&key.subject))
}

/// What is known of the charges to one key.
struct State {
    tat: Option<i64>,
    token: Option<ObjectId>,
    /// When the last charge was.
    at: Option<i64>,
    now: Option<i64>,
}

fn corrupt(key: &LimitKey, field: &str) -> Corrupt {
    Corrupt {
        collection: LIMITS,
        id: id_of(key),
        why: format!("{field} is not as it should be"),
    }
}

impl State {
    fn of(key: &LimitKey, found: &Document) -> Result<Self, Corrupt> {
        let moment = |field: &str| match found.get(field) {
            None => Ok(None),
            Some(Bson::Int64(moment)) => Ok(Some(*moment)),
            Some(_) => Err(corrupt(key, field)),
        };
        Ok(Self {
            tat: moment("tat")?,
            token: found.get_object_id("token").ok(),
            at: moment("at")?,
            now: moment("now")?,
        })
    }
}

/// The server's present, in microseconds.
fn now() -> Document {
    doc! { "$multiply": [{ "$toLong": "$$NOW" }, 1_000_i64] }
}

/// [`Rate::charge`] on the server: one expression, so that nobody comes between the look and the charge. The token tells
/// whose charge the last one was.
fn charging(rate: Rate, token: ObjectId) -> Vec<Document> {
    let (interval, burst) = (rate.interval(), rate.burst());
    let tat = doc! { "$ifNull": ["$tat", now()] };
    // One of a slower rate that was set before is no further ahead than this one's may be.
    let most = doc! { "$add": [now(), burst] };
    let capped = doc! { "$max": [{ "$min": [tat, most] }, now()] };
    let due = doc! { "$add": [capped, interval] };
    let fits = doc! { "$lte": [{ "$subtract": [due.clone(), now()] }, burst] };
    let drained = date(due.clone().into());
    let if_it_fits = |new: Bson, old: &str| doc! { "$cond": [fits.clone(), new, old] };
    vec![doc! { "$set": {
        "tat": if_it_fits(due.into(), "$tat"),
        "token": if_it_fits(token.into(), "$token"),
        "at": if_it_fits(now().into(), "$at"),
        "expires_at": if_it_fits(drained.into(), "$expires_at"),
    } }]
}

/// [`Charge::undrained`] on the server, taken off. Of a document that is gone all has drained.
fn giving_back(charge: Charge) -> Vec<Document> {
    let rest = doc! { "$subtract": [charge.at + charge.interval, now()] };
    let undrained = doc! { "$max": [0_i64, { "$min": [charge.interval, rest] }] };
    let tat = doc! { "$subtract": [{ "$ifNull": ["$tat", now()] }, undrained] };
    vec![
        doc! { "$set": { "tat": tat } },
        doc! { "$set": { "expires_at": date("$tat".into()) } },
    ]
}

/// Microseconds as a date, rounded up to its milliseconds.
fn date(microseconds: Bson) -> Document {
    let milliseconds = doc! { "$ceil": { "$divide": [microseconds, 1_000_i64] } };
    doc! { "$toDate": { "$toLong": milliseconds } }
}
