//! The generic cell rate algorithm (ITU-T I.371): one moment says all about what was let through.
//!
//! That moment, the *theoretical arrival time* (`tat`), is when all that was let through will have drained. Each charge
//! puts it one interval later; a charge that would put it more than a burst ahead of the present is refused. After a
//! pause as long as the period, the whole count is there again; meanwhile one more each interval.
//!
//! All moments are microseconds since 1970, by one clock. The interval is rounded up, so that never too much is let
//! through.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// So many in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    period: Duration,
}

/// A rate that cannot be kept to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 to 1000000 per 1s to 366d is due")]
pub struct InvalidRate;

/// What becomes of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let through, under this charge.
    Admitted(Charge),
    /// Not let through; it will be after this time, provided nobody else is meanwhile.
    Refused(Duration),
}

/// One charge that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// When it was let through.
    pub at: i64,
    /// By how much it put the `tat` forward, in microseconds.
    pub interval: i64,
}

impl Rate {
    const MOST: u32 = 1_000_000;
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(366 * 86_400);

    /// `count` in `period`.
    ///
    /// # Errors
    /// If there are none or too many, or the period is under a second or over a year.
    pub fn new(count: u32, period: Duration) -> Result<Self, InvalidRate> {
        let fits =
            (1..=Self::MOST).contains(&count) && (Self::SHORTEST..=Self::LONGEST).contains(&period);
        fits.then_some(Self { count, period }).ok_or(InvalidRate)
    }

    /// How many there can be at once.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The time in which as many come back.
    pub fn period(self) -> Duration {
        self.period
    }

    /// What one charge puts the `tat` forward by, in microseconds.
    pub fn interval(self) -> i64 {
        let interval = self.period.as_micros().div_ceil(u128::from(self.count));
        i64::try_from(interval).unwrap_or(i64::MAX)
    }

    /// How far ahead of the present the `tat` may be, in microseconds.
    pub fn burst(self) -> i64 {
        self.interval().saturating_mul(i64::from(self.count))
    }

    /// What becomes of one more charge `now`; `tat` is `None` where nothing is known of any. A `tat` that is further ahead
    /// than this rate lets it be is of a slower one that was set before, and counts as if it were no further.
    pub fn charge(self, tat: Option<i64>, now: i64) -> Verdict {
        let interval = self.interval();
        let ahead = tat.map_or(0, |tat| (tat - now).clamp(0, self.burst())) + interval;
        if ahead <= self.burst() {
            Verdict::Admitted(Charge { at: now, interval })
        } else {
            let wait = u64::try_from(ahead - self.burst()).unwrap_or_default();
            Verdict::Refused(Duration::from_micros(wait))
        }
    }
}

impl Charge {
    /// The `tat` after this charge.
    pub fn put_on(self, tat: Option<i64>) -> i64 {
        tat.map_or(self.at, |tat| tat.max(self.at)) + self.interval
    }

    /// How much of the charge has not drained by `now`, in microseconds: what giving it back takes off the `tat`.
    ///
    /// Never more: what has drained has made room already, and giving that back would make it twice. Which part of what
    /// has drained meanwhile was this charge's is not known, once others were given back; so all of it counts as such.
    pub fn undrained(self, now: i64) -> i64 {
        (self.at + self.interval - now).clamp(0, self.interval)
    }
}

/// As settings have it: `300/3h`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.count)?;
        let mut rest = self.period.as_millis();
        for (unit, milliseconds) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ] {
            let whole = rest / milliseconds;
            if whole > 0 {
                write!(f, "{whole}{unit}")?;
            }
            rest %= milliseconds;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate::new(count, Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn a_rate_is_a_count_and_a_period_or_refused() {
        assert_eq!(rate(300, 10_800).to_string(), "300/3h");
        assert_eq!(rate(5, 90).to_string(), "5/1m30s");
        assert_eq!(rate(300, 10_800).interval(), 36_000_000);
        assert_eq!(rate(7, 1).interval(), 142_858);
        let second = Duration::from_secs(1);
        assert!(Rate::new(0, second).is_err());
        assert!(Rate::new(1_000_001, second).is_err());
        assert!(Rate::new(1, Duration::from_millis(999)).is_err());
        assert!(Rate::new(1, Duration::from_secs(367 * 86_400)).is_err());
    }

    #[test]
    fn what_a_slower_rate_has_left_behind_counts_for_no_more_than_the_count() {
        let day = 86_400_000_000;
        let wait = Duration::from_secs(3);
        assert_eq!(rate(3, 9).charge(Some(7 * day), 0), Verdict::Refused(wait));
    }

    #[test]
    fn the_whole_count_at_once_then_one_each_interval() {
        let rate = rate(3, 9);
        let mut tat = None;
        for _ in 0..3 {
            let Verdict::Admitted(charge) = rate.charge(tat, 0) else {
                panic!("refused")
            };
            tat = Some(charge.put_on(tat));
        }
        let wait = Duration::from_secs(3);
        assert_eq!(rate.charge(tat, 0), Verdict::Refused(wait));
        assert!(matches!(rate.charge(tat, 2_999_999), Verdict::Refused(_)));
        assert!(matches!(rate.charge(tat, 3_000_000), Verdict::Admitted(_)));
    }

    proptest! {
        /// In no stretch of time are there more than the count, and one for each interval that it has.
        #[test]
        fn never_too_many(
            count in 1_u32..20,
            seconds in 1_u64..100,
            steps in prop::collection::vec(0_i64..3_000_000, 1..200),
        ) {
            let rate = rate(count, seconds);
            let (mut now, mut tat) = (0, None);
            let mut admitted: Vec<i64> = Vec::new();
            for step in steps {
                now += step;
                match rate.charge(tat, now) {
                    Verdict::Admitted(charge) => {
                        tat = Some(charge.put_on(tat));
                        admitted.push(now);
                    }
                    Verdict::Refused(wait) => {
                        let wait = i64::try_from(wait.as_micros()).unwrap();
                        prop_assert!(matches!(rate.charge(tat, now + wait), Verdict::Admitted(_)));
                        prop_assert!(matches!(rate.charge(tat, now + wait - 1), Verdict::Refused(_)));
                    }
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let allowed = i64::from(count) + (to - from) / rate.interval();
                    prop_assert!(i64::try_from(last - first + 1).unwrap() <= allowed);
                }
            }
        }

        /// Whatever is given back, in whatever order and when: those that remain are never more than that either.
        #[test]
        fn giving_back_never_lets_too_many_through(
            count in 1_u32..8,
            seconds in 1_u64..20,
            acts in prop::collection::vec((0_i64..2_000_000, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let rate = rate(count, seconds);
            let (mut now, mut tat) = (0, None);
            let mut open: VecDeque<Charge> = VecDeque::new();
            let mut kept: Vec<i64> = Vec::new();
            for (step, give_back, newest) in acts {
                now += step;
                if give_back {
                    let charge = if newest { open.pop_back() } else { open.pop_front() };
                    if let Some(charge) = charge {
                        tat = tat.map(|tat| tat - charge.undrained(now));
                    }
                } else if let Verdict::Admitted(charge) = rate.charge(tat, now) {
                    tat = Some(charge.put_on(tat));
                    open.push_back(charge);
                    if open.len() > 3 {
                        kept.extend(open.pop_front().map(|charge| charge.at));
                    }
                }
            }
            kept.extend(open.iter().map(|charge| charge.at));
            for (first, from) in kept.iter().enumerate() {
                for (last, to) in kept.iter().enumerate().skip(first) {
                    let allowed = i64::from(count) + (to - from) / rate.interval();
                    prop_assert!(i64::try_from(last - first + 1).unwrap() <= allowed);
                }
            }
        }
    }
}
