//! Why a certificate is renewed: a chain of questions, of which the first that says yes is the reason that people see (FLT-3).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Current, Managed};
use crate::clock::Timestamp;
use crate::renewal::renewal_due;

/// Why a certificate is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// There is none.
    Missing,
    /// The one there is has other names than it should.
    NamesChanged,
    /// Somebody asked for it.
    Forced,
    /// Its authority asks for it: the moment that was drawn from its window is there.
    Suggested,
    /// It has lived two thirds of its life, or half of a short one.
    Old,
}

impl Reason {
    /// The name in the API and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NamesChanged => "namesChanged",
            Self::Forced => "forced",
            Self::Suggested => "suggested",
            Self::Old => "old",
        }
    }

    /// Why this one is to be renewed now, if it is.
    pub fn of(managed: &Managed, now: Timestamp) -> Option<Self> {
        let Some(current) = &managed.current else {
            return Some(Self::Missing);
        };
        if current.names != managed.names {
            return Some(Self::NamesChanged);
        }
        if managed.forced {
            return Some(Self::Forced);
        }
        if suggested(current).is_some_and(|moment| moment <= now) {
            return Some(Self::Suggested);
        }
        (old_at(current) <= now).then_some(Self::Old)
    }
}

/// When its authority wants it renewed, if it has said so.
fn suggested(current: &Current) -> Option<Timestamp> {
    current.advice.as_ref().map(|advice| advice.moment)
}

/// When it is old. Where the authority has given advice, that counts, as long as it leaves half of the time that is kept for
/// failures.
pub(super) fn old_at(current: &Current) -> Timestamp {
    let due = renewal_due(current.not_before, current.not_after);
    match suggested(current) {
        Some(moment) if moment > due => moment.min(due + (current.not_after - due) / 2),
        Some(_) | None => due,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no certificate yet",
            Self::NamesChanged => "its names were changed",
            Self::Forced => "somebody asked for it",
            Self::Suggested => "its authority suggests it",
            Self::Old => "it is old enough",
        })
    }
}
