//! A place where a certificate of the fleet should be served, and what was found there.

use serde::{Deserialize, Serialize};
use time::Duration;

use super::Drift;
use crate::clock::Timestamp;
use crate::delivery::Endpoint;
use crate::identifier::Identifier;
use crate::ids::{ManagedId, WatchId};

/// How often it is looked.
const EVERY: Duration = Duration::minutes(5);
/// What does not help is not done again for so long.
const REPAIRED_AGAIN: Duration = Duration::HOUR;

/// A place where a certificate of the fleet should be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Its id.
    pub id: WatchId,
    /// Which certificate.
    pub managed: ManagedId,
    /// Where, as workers reach it.
    pub endpoint: Endpoint,
    /// The name that is asked for.
    pub name: Identifier,
    /// What follows from a finding.
    pub policy: WatchPolicy,
    /// What is wrong there.
    pub finding: Option<Finding>,
    /// When it was delivered anew for a finding last.
    pub repaired_at: Option<Timestamp>,
    /// When it was looked at last.
    pub looked_at: Option<Timestamp>,
    /// When it is looked at next.
    pub next_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WatchPolicy {
    /// It is told.
    Alert,
    /// It is told, and the certificate is delivered anew.
    Repair,
}

/// What is wrong somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub drift: Drift,
    /// More of it, for people.
    pub detail: String,
    /// Since when.
    pub first_seen: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
}

impl Watch {
    /// A new one, to be looked at at once.
    pub fn new(
        id: WatchId,
        managed: ManagedId,
        (endpoint, name): (Endpoint, Identifier),
        policy: WatchPolicy,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            managed,
            endpoint,
            name,
            policy,
            finding: None,
            repaired_at: None,
            looked_at: None,
            next_at: now,
            version: 0,
        }
    }

    /// It was looked at, and this was found, or nothing. The same as before keeps the moment at which it was seen first.
    #[must_use]
    pub fn looked(self, found: Option<(Drift, String)>, now: Timestamp) -> Self {
        let before = self.finding.as_ref();
        let finding = found.map(|(drift, detail)| Finding {
            first_seen: before
                .filter(|before| before.drift == drift)
                .map_or(now, |before| before.first_seen),
            drift,
            detail,
            last_seen: now,
        });
        Self {
            finding,
            looked_at: Some(now),
            next_at: now + EVERY,
            ..self
        }
    }

    /// Nothing is known of it: there is no certificate yet that could be served.
    #[must_use]
    pub fn put_off(self, now: Timestamp) -> Self {
        Self {
            next_at: now + EVERY,
            ..self
        }
    }

    /// Whether the certificate is to be delivered anew.
    pub fn wants_repair(&self, now: Timestamp) -> bool {
        let finding = self.finding.as_ref();
        let helps = finding.is_some_and(|finding| finding.drift.can_be_repaired());
        let rested = self.repaired_at.is_none_or(|at| at + REPAIRED_AGAIN <= now);
        helps && rested && self.policy == WatchPolicy::Repair
    }

    /// It was delivered anew; a look at whether that has helped comes soon.
    #[must_use]
    pub fn repaired(self, now: Timestamp) -> Self {
        Self {
            repaired_at: Some(now),
            next_at: now + Duration::seconds(30),
            ..self
        }
    }
}
