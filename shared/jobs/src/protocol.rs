//! The lease protocol: what becomes of a job by each act, and which acts are refused. Pure; storage says the same in the
//! database's words, and a test holds the two together.
//!
//! What it promises is in the tests below, played by several workers against a clock that jumps and failovers that undo
//! what no majority had: of all who hold a claim of a job, only the last one's result counts; nothing is done twice and
//! nothing is lost.

use std::time::Duration;

use certfleet_domain::LeaseToken;

use crate::lease::Fence;
use crate::outcome::Outcome;

/// A moment of the database's clock, in milliseconds. It is the only clock that counts, and it may jump: another member
/// may become the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    fn after(self, duration: Duration) -> Self {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(milliseconds))
    }
}

/// A job, as far as the protocol is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub standing: Standing,
    /// How often it was claimed.
    pub fence: Fence,
    /// How many of these claims count as attempts.
    pub attempt: u32,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits for this moment, or, after it, for a hand.
    Queued {
        /// When it is due.
        due: Moment,
    },
    /// Somebody has it.
    Leased {
        /// Whose claim it was.
        by: LeaseToken,
        /// From when on anybody may claim it.
        until: Moment,
    },
    /// Done.
    Done,
    /// Given up; waits for a person.
    Dead,
    /// Given up, and put away by a person.
    Discarded,
}

impl Entry {
    /// A new job, due at once.
    pub fn enqueued(now: Moment) -> Self {
        Self {
            standing: Standing::Queued { due: now },
            fence: Fence(0),
            attempt: 0,
        }
    }

    /// Whether anybody may claim it.
    pub fn is_claimable(&self, now: Moment) -> bool {
        match self.standing {
            Standing::Queued { due: from } | Standing::Leased { until: from, .. } => from <= now,
            Standing::Done | Standing::Dead | Standing::Discarded => false,
        }
    }

    /// Claimed; `None` if nobody may.
    #[must_use]
    pub fn claim(&self, by: LeaseToken, now: Moment, lease: Duration) -> Option<Self> {
        let until = now.after(lease);
        self.is_claimable(now).then_some(Self {
            standing: Standing::Leased { by, until },
            fence: Fence(self.fence.0 + 1),
            attempt: self.attempt + 1,
        })
    }

    /// The lease put off; `None` if it is another's. One that has run out and that nobody has taken is still one's own.
    #[must_use]
    pub fn renew(&self, by: LeaseToken, now: Moment, lease: Duration) -> Option<Self> {
        self.is_held_by(by).then_some(Self {
            standing: Standing::Leased {
                by,
                until: now.after(lease),
            },
            ..*self
        })
    }

    /// Ended, with its result; `None` if the claim is not the job's last one, or was ended before: then nothing of the
    /// result may be written. The fence alone does not tell: a claim that a failover undid leaves its fence to the next.
    #[must_use]
    pub fn end(
        &self,
        by: LeaseToken,
        fence: Fence,
        outcome: &Outcome,
        now: Moment,
    ) -> Option<Self> {
        if !self.is_held_by(by) || self.fence != fence {
            return None;
        }
        let (standing, attempt) = match outcome {
            Outcome::Done => (Standing::Done, self.attempt),
            Outcome::Fail { .. } => (Standing::Dead, self.attempt),
            Outcome::Retry { after, .. } => {
                let due = now.after(*after);
                (Standing::Queued { due }, self.attempt)
            }
            Outcome::Release => (
                Standing::Queued { due: now },
                self.attempt.saturating_sub(1),
            ),
        };
        Some(Self {
            standing,
            attempt,
            ..*self
        })
    }

    /// Another chance for a dead job; `None` if it is not dead.
    #[must_use]
    pub fn retry(&self, now: Moment) -> Option<Self> {
        (self.standing == Standing::Dead).then_some(Self {
            standing: Standing::Queued { due: now },
            attempt: 0,
            ..*self
        })
    }

    /// A dead job put away; `None` if it is not dead.
    #[must_use]
    pub fn discard(&self) -> Option<Self> {
        (self.standing == Standing::Dead).then_some(Self {
            standing: Standing::Discarded,
            ..*self
        })
    }

    fn is_held_by(&self, token: LeaseToken) -> bool {
        matches!(self.standing, Standing::Leased { by, .. } if by == token)
    }
}

#[cfg(test)]
#[path = "protocol_model.rs"]
mod model;
