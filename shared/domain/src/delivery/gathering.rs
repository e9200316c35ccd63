//! However many certificates are due on a host: one delivery (DEP-2).

use time::Duration;

use super::Placement;
use crate::clock::Timestamp;

/// What has become due waits for so long for what comes with it.
pub const SETTLE: Duration = Duration::seconds(5);
/// But no longer than this, however much comes.
const LONGEST: Duration = Duration::minutes(2);

/// What a host is to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gathering {
    /// Nothing, unless something happens.
    Nothing,
    /// Nothing before this moment.
    Wait(Timestamp),
    /// These, at once, with one reload.
    Deliver(Vec<Placement>),
}

/// What a host is to be given, of all that is to be delivered there. What is due waits until nothing new has come for
/// [a while](SETTLE). What has failed again and again is delivered by itself, when nothing else is due: it may be why.
pub fn gather(pending: Vec<Placement>, now: Timestamp) -> Gathering {
    let next = pending
        .iter()
        .filter_map(|placement| placement.next_at)
        .min();
    let Some(next) = next else {
        return Gathering::Nothing;
    };
    if next > now {
        return Gathering::Wait(next);
    }
    let (suspects, others): (Vec<_>, Vec<_>) = pending.into_iter().partition(Placement::is_suspect);
    let (due, later): (Vec<_>, Vec<_>) = others.into_iter().partition(|other| other.is_due(now));
    if due.is_empty() {
        let suspect = suspects.into_iter().find(|suspect| suspect.is_due(now));
        return suspect.map_or(Gathering::Wait(next), |suspect| {
            Gathering::Deliver(vec![suspect])
        });
    }
    let overdue = due.iter().any(|placement| placement.waited(now) >= LONGEST);
    let settles = later.iter().filter_map(|placement| placement.next_at).max();
    match settles.filter(|at| *at <= now + SETTLE && !overdue) {
        Some(until) => Gathering::Wait(until),
        None => Gathering::Deliver(due),
    }
}
