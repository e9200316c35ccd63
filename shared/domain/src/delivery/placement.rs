//! A managed certificate at a target: which version is wanted there, and which one is there.

use time::Duration;

use super::{SETTLE, Slot, Target};
use crate::clock::Timestamp;
use crate::fleet::Setback;
use crate::identifier::Identifier;
use crate::ids::{ManagedId, PlacementId, VersionId};
use crate::names::{AgentName, TargetName};

/// A managed certificate at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Its id.
    pub id: PlacementId,
    /// Which certificate.
    pub managed: ManagedId,
    /// Where to.
    pub target: TargetName,
    /// On whose host that is.
    pub agent: AgentName,
    /// What it is called in paths there.
    pub slot: Slot,
    /// The name of it that the host is asked for when it is looked at whether it serves it.
    pub name: Identifier,
    /// The version that is to be there; `None` until there is one.
    pub wanted: Option<VersionId>,
    /// Since when that one is wanted.
    pub wanted_at: Timestamp,
    /// The version that is there, as the host's agent has said.
    pub placed: Option<Placed>,
    /// What went wrong since the last success.
    pub setback: Option<Setback>,
    /// When it is to be delivered; `None` if there is nothing to deliver.
    pub next_at: Option<Timestamp>,
    /// Grows by one with each write.
    pub version: i64,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Which version.
    pub version: VersionId,
    /// Since when.
    pub at: Timestamp,
    /// Whether the host was seen to serve it: it has a place to look at, and showed it.
    pub seen: bool,
}

impl Placement {
    /// A certificate that is to be at a target from now on, called by this name of its.
    pub fn new(
        id: PlacementId,
        managed: ManagedId,
        target: &Target,
        name: Identifier,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            managed,
            target: target.name.clone(),
            agent: target.agent.clone(),
            slot: target.slot(&name),
            name,
            wanted: None,
            wanted_at: now,
            placed: None,
            setback: None,
            next_at: None,
            version: 0,
        }
    }

    /// This version is to be there. What failed for another is forgotten.
    #[must_use]
    pub fn want(self, version: VersionId, now: Timestamp) -> Self {
        if self.wanted == Some(version) {
            return self;
        }
        Self {
            wanted: Some(version),
            wanted_at: now,
            setback: None,
            next_at: Some(now + SETTLE),
            ..self
        }
    }

    /// The version that is there is to be delivered again.
    #[must_use]
    pub fn again(self, now: Timestamp) -> Self {
        Self {
            wanted_at: now,
            setback: None,
            next_at: self.wanted.map(|_| now),
            ..self
        }
    }

    /// The host has this version now. What is wanted meanwhile stays due.
    #[must_use]
    pub fn delivered(self, version: VersionId, seen: bool, now: Timestamp) -> Self {
        let told = self.placed.as_ref().filter(|_| self.next_at.is_none());
        if told.is_some_and(|placed| (placed.version, placed.seen) == (version, seen)) {
            return self;
        }
        let placed = Some(Placed {
            version,
            at: now,
            seen,
        });
        if self.wanted == Some(version) {
            Self {
                placed,
                setback: None,
                next_at: None,
                ..self
            }
        } else {
            Self { placed, ..self }
        }
    }

    /// It could not be delivered, and what was there before is there again.
    #[must_use]
    pub fn failed(self, version: VersionId, why: String, now: Timestamp) -> Self {
        if self.wanted != Some(version) {
            return self;
        }
        let setback = Setback::after(self.setback.as_ref(), why, None, None, now);
        Self {
            next_at: Some(setback.retry_at),
            setback: Some(setback),
            ..self
        }
    }

    /// `waiting` for a certificate, `due`, `failing` or `placed`.
    pub fn status(&self) -> &'static str {
        match (&self.wanted, &self.next_at, &self.setback) {
            (None, _, _) => "waiting",
            (Some(_), None, _) => "placed",
            (Some(_), Some(_), Some(_)) => "failing",
            (Some(_), Some(_), None) => "due",
        }
    }

    /// Whether it has failed before, so that it does not hold up what has not.
    pub(super) fn is_suspect(&self) -> bool {
        let setback = self.setback.as_ref();
        setback.is_some_and(|setback| setback.failures >= SUSPECT)
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next_at.is_some_and(|at| at <= now)
    }

    /// How long it has been wanted.
    pub(super) fn waited(&self, now: Timestamp) -> Duration {
        now - self.wanted_at
    }
}

/// From so many failures on, a certificate is delivered by itself, so that it does not fail others.
const SUSPECT: u32 = 2;
