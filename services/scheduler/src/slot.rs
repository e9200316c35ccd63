//! When a duty is due: at the multiples of its interval, counted from the beginning of Unix time, by the database's
//! clock. So all schedulers agree on the times, whoever leads and whatever their own clocks show.

use std::time::Duration;

use certfleet_domain::Timestamp;

/// A time at which a duty is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The latest such time that has come: one run is enough for all that were missed.
    pub due: Timestamp,
    /// The first since the run before.
    pub since: Timestamp,
}

/// The database's clocks may differ by so much from one member to the next. What is due later than that was due by a clock
/// that was wrong.
const TOLERANCE: Duration = Duration::from_secs(300);

/// The time that has come for a duty whose last run was due at `last`, if one has. After a clock that was far ahead the
/// duty begins anew, and does not wait until that time has come.
pub fn slot(last: Option<Timestamp>, every: Duration, now: Timestamp) -> Option<Slot> {
    let due = latest(every, now);
    let last = last.filter(|last| *last <= now + TOLERANCE);
    let since = last.map_or(due, |last| next(last, every));
    (since <= due).then_some(Slot { due, since })
}

/// The first time that comes after the run that was due at `last`.
pub fn next(last: Timestamp, every: Duration) -> Timestamp {
    latest(every, last) + every
}

/// The latest time not after `at`.
fn latest(every: Duration, at: Timestamp) -> Timestamp {
    let every = i128::try_from(every.as_nanos()).unwrap_or(i128::MAX).max(1);
    let passed = at.unix_timestamp_nanos();
    Timestamp::from_unix_timestamp_nanos(passed - passed.rem_euclid(every)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + time::Duration::milliseconds(milliseconds)
    }

    #[test]
    fn a_duty_is_due_at_its_times_and_at_once_if_it_never_ran() {
        assert_eq!(
            slot(None, EVERY, at(95_000)),
            Some(Slot {
                due: at(90_000),
                since: at(90_000)
            })
        );
        assert_eq!(slot(Some(at(90_000)), EVERY, at(119_999)), None);
        assert_eq!(
            slot(Some(at(90_000)), EVERY, at(120_000)),
            Some(Slot {
                due: at(120_000),
                since: at(120_000)
            })
        );
    }

    #[test]
    fn one_run_is_for_all_that_were_missed() {
        assert_eq!(
            slot(Some(at(90_000)), EVERY, at(200_000)),
            Some(Slot {
                due: at(180_000),
                since: at(120_000)
            })
        );
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_due_twice() {
        assert_eq!(slot(Some(at(90_000)), EVERY, at(60_000)), None);
    }

    #[test]
    fn a_clock_that_was_a_day_ahead_does_not_stop_a_duty_for_a_day() {
        let begun = slot(Some(at(86_400_000)), EVERY, at(60_000));
        assert_eq!(begun.map(|slot| slot.due), Some(at(60_000)));
    }

    proptest! {
        /// Whenever it is looked, and whatever the clock does in between: each time that comes is of one run, in order; but
        /// after a clock that was far ahead all begins anew.
        #[test]
        fn every_time_is_of_one_run(
            looks in prop::collection::vec(-200_000_i64..400_000, 1..60),
            seconds in 1_u64..120,
        ) {
            let every = Duration::from_secs(seconds);
            let mut now = 1_700_000_000_000_i64;
            let mut last: Option<Timestamp> = None;
            for step in looks {
                now += step;
                if let Some(Slot { due, since }) = slot(last, every, at(now)) {
                    prop_assert!(since <= due && due <= at(now) && at(now) < due + every);
                    let before = last.filter(|last| *last <= at(now) + TOLERANCE);
                    prop_assert_eq!(since, before.map_or(due, |last| last + every));
                    prop_assert_eq!((due - since).whole_milliseconds() % i128::from(seconds * 1000), 0);
                    last = Some(due);
                }
            }
        }
    }
}
