//! What went wrong, and when to try again: never a permanent stall (FLT-6).

use time::Duration;

use crate::clock::Timestamp;

/// What expires is tried so often in the time that it has left, at the least: a day is a long wait for one of six days.
const TRIES_LEFT: i32 = 4;
/// But no more often than this.
const LEAST: Duration = Duration::minutes(10);

/// A minute, ten, a hundred; then daily.
const WAITS: [Duration; 3] = [
    Duration::minutes(1),
    Duration::minutes(10),
    Duration::minutes(100),
];
const DAILY: Duration = Duration::DAY;

/// One failure after the other, since the last success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// How many in a row.
    pub failures: u32,
    /// How often it was put off in a row, because the authority's budget was used up.
    pub put_off: u32,
    /// What the last one was.
    pub why: String,
    /// When to try again.
    pub retry_at: Timestamp,
}

impl Setback {
    /// One more, after `before`, of what would expire at `end`, if it has not yet. If the authority said how long to wait, at
    /// least that long.
    pub fn after(
        before: Option<&Self>,
        why: String,
        end: Option<Timestamp>,
        at_least: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let put_off = before.map_or(0, |before| before.put_off);
        let wait = usize::try_from(failures - 1)
            .ok()
            .and_then(|index| WAITS.get(index).copied())
            .unwrap_or(DAILY);
        let wait = match end {
            Some(end) if end > now => wait.min(((end - now) / TRIES_LEFT).max(LEAST)),
            Some(_) | None => wait,
        };
        // An authority that says "in a year" is not believed for so long.
        let at_least = at_least.unwrap_or_default().min(7 * DAILY);
        Self {
            failures,
            put_off,
            why,
            retry_at: now + wait.max(at_least),
        }
    }

    /// It is put off for so long, which is nobody's failure.
    pub fn put_off(before: Option<&Self>, why: String, wait: Duration, now: Timestamp) -> Self {
        Self {
            failures: before.map_or(0, |before| before.failures),
            put_off: before.map_or(0, |before| before.put_off).saturating_add(1),
            why,
            retry_at: now + wait,
        }
    }

    /// From so many failures in a row on, a person should look (FLT-6): the tries are daily then.
    pub const WANTS_A_PERSON: u32 = 4;

    /// Whether it has failed so often that a person should look.
    pub fn wants_a_person(&self) -> bool {
        self.failures >= Self::WANTS_A_PERSON
    }
}
