//! Names that keep failing: how often in a row each has failed for an account, and those that are paused until a person
//! lifts that.
//!
//! A failure is counted in the unit that writes it, and so exactly once. Counts of names that are not paused are
//! forgotten 90 days after the last failure; a pause is not.

use bson::{Document, doc};
use certfleet_audit::Event;
use certfleet_domain::{AccountId, Identifier, LimitKey, Rate, Timestamp, Verdict};
use futures_util::TryStreamExt;

use super::{LimitStates, State, id_of, now};
use crate::audit::recorded::{Change, recorded};
use crate::collections::LIMITS;
use crate::digest::hex_digest;
use crate::documents::from_bson_time;
use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};

/// How long failures in a row are remembered after the last, in milliseconds.
const REMEMBERED: i64 = 90 * 24 * 60 * 60 * 1_000;

/// A name that is paused for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The account.
    pub account: String,
    /// The name, or the address.
    pub name: String,
    /// How often it has failed in a row.
    pub failures: i64,
    /// Since when it is paused.
    pub since: Timestamp,
}

/// How an account stands with a name that it wants to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether the name is paused for the account.
    pub paused: bool,
    tat: Option<i64>,
    now: i64,
}

impl Standing {
    /// What would become of an attempt at this rate.
    pub fn judge(&self, rate: Rate) -> Verdict {
        rate.charge(self.tat, self.now)
    }
}

impl LimitStates {
    /// How the account stands with these names, in their order. One read.
    pub async fn standings(
        &self,
        account: AccountId,
        identifiers: &[Identifier],
    ) -> Result<Vec<Standing>, StorageError> {
        let keys: Vec<(LimitKey, String)> = identifiers
            .iter()
            .map(|identifier| {
                let key = LimitKey::attempts(account, identifier);
                (key, pause_id(account, &LimitKey::proven_name(identifier)))
            })
            .collect();
        let ids: Vec<String> = keys
            .iter()
            .flat_map(|(key, pause)| [id_of(key), pause.clone()])
            .collect();
        let found: Vec<Document> = self
            .collection
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "tat": 1, "paused_at": 1, "now": now() })
            .await?
            .try_collect()
            .await?;
        let of = |id: &str| {
            found
                .iter()
                .find(|found| found.get_str("_id").is_ok_and(|found| found == id))
        };
        // Where nothing is known, any present will do.
        let unknown = doc! { "now": 0_i64 };
        keys.iter()
            .map(|(key, pause)| {
                let state = State::of(key, of(&id_of(key)).unwrap_or(&unknown))?;
                Ok(Standing {
                    paused: of(pause).is_some_and(|pause| pause.contains_key("paused_at")),
                    tat: state.tat,
                    now: state.now.ok_or_else(|| super::corrupt(key, "now"))?,
                })
            })
            .collect()
    }

    /// The unit that counts a failure; the name is paused when it is the `pause_after`th in a row.
    pub fn count_failure(
        &self,
        account: AccountId,
        identifier: &Identifier,
        pause_after: u32,
    ) -> Unit {
        let name = LimitKey::proven_name(identifier);
        let count = doc! { "$set": {
            "account": account.to_string(),
            "name": { "$literal": &name },
            "failures": { "$add": [{ "$ifNull": ["$failures", 0_i64] }, 1_i64] },
        } };
        let full = doc! { "$gte": ["$failures", i64::from(pause_after)] };
        let judge = doc! { "$set": {
            "paused_at": { "$ifNull": ["$paused_at", { "$cond": [full, "$$NOW", "$$REMOVE"] }] },
        } };
        let forget = doc! { "$set": {
            "expires_at": {
                "$cond": [{ "$ifNull": ["$paused_at", false] }, "$$REMOVE", { "$add": ["$$NOW", REMEMBERED] }]
            },
        } };
        Unit::of(Write::Ensure {
            row: Row::new(LIMITS, pause_id(account, &name)),
            pipeline: vec![count, judge, forget],
        })
    }

    /// The unit that ends a row of failures, if there is one: with a success, even of an attempt that was under way when
    /// the name was paused, it is over.
    pub async fn end_failures(
        &self,
        account: AccountId,
        identifier: &Identifier,
    ) -> Result<Unit, StorageError> {
        let id = pause_id(account, &LimitKey::proven_name(identifier));
        let found = self.collection.find_one(doc! { "_id": &id }).await?;
        Ok(match found {
            None => Unit::default(),
            Some(_) => Unit::of(Write::Ensure {
                row: Row::new(LIMITS, id),
                pipeline: vec![doc! { "$set": {
                    "failures": 0_i64, "paused_at": "$$REMOVE", "expires_at": "$$NOW",
                } }],
            }),
        })
    }

    /// At most `most` of the names that are paused, the latest first.
    pub async fn pauses(&self, most: i64) -> Result<Vec<Pause>, StorageError> {
        let found: Vec<Document> = self
            .collection
            .find(doc! { "paused_at": { "$exists": true } })
            .sort(doc! { "paused_at": -1 })
            .limit(most)
            .await?
            .try_collect()
            .await?;
        Ok(found.iter().map(pause).collect::<Result<_, _>>()?)
    }

    /// Lifts a pause, so that the failures are counted from the start; says whether there was one.
    pub async fn lift(
        &self,
        account: AccountId,
        identifier: &Identifier,
        event: &Event,
    ) -> Result<bool, StorageError> {
        let id = pause_id(account, &LimitKey::proven_name(identifier));
        let paused = doc! { "_id": id, "paused_at": { "$exists": true } };
        let change = Change::Remove;
        recorded(&self.collection, paused, change, event, &self.metrics).await
    }
}

fn pause_id(account: AccountId, name: &str) -> String {
    format!("pause/{}", hex_digest(&format!("{account}/{name}")))
}

fn pause(found: &Document) -> Result<Pause, Corrupt> {
    let corrupt = |error: bson::error::Error| Corrupt {
        collection: LIMITS,
        id: found.get_str("_id").unwrap_or_default().to_owned(),
        why: error.to_string(),
    };
    Ok(Pause {
        account: found.get_str("account").map_err(corrupt)?.to_owned(),
        name: found.get_str("name").map_err(corrupt)?.to_owned(),
        failures: found.get_i64("failures").map_err(corrupt)?,
        since: from_bson_time(*found.get_datetime("paused_at").map_err(corrupt)?),
    })
}
