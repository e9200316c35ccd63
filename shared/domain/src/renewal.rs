//! When a certificate is to be renewed: one arithmetic for the authority, which suggests it (RFC 9773), and for the robot, which
//! does it. Never a fixed number of days: what is right for 90 days renews one of six days for ever.

use rand::RngCore;
use time::Duration;

use crate::authority::Replacement;
use crate::certificate::{Certificate, CertificateState};
use crate::clock::Timestamp;

/// A lifetime that is shorter leaves so little of its last third that half of it is kept.
const SHORT: Duration = Duration::days(10);
/// A window is a 25th of the lifetime wide: 3.6 days of 90, 6.4 hours of 160.
const OF_LIFETIME: i32 = 25;
/// How far a window that means "now" reaches into the past. Any that is over means it (RFC 9773 §4.2).
const COLLAPSED: Duration = Duration::HOUR;

/// The moment from which on a certificate is old enough to be renewed: after two thirds of its lifetime, or half of it if it
/// lives for less than 10 days.
pub fn renewal_due(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let lifetime = (not_after - not_before).max(Duration::ZERO);
    let kept = if lifetime < SHORT {
        lifetime / 2
    } else {
        lifetime / 3
    };
    not_after - kept
}

/// A window of time in which a certificate is to be renewed, at a moment that its holder draws from it. It has a beginning and
/// an end after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalWindow {
    start: Timestamp,
    end: Timestamp,
}

impl RenewalWindow {
    /// From here to there, both included; `None` if that is nothing.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// For a certificate of this validity with which nothing is wrong: around the moment at which it is
    /// [due](renewal_due).
    pub fn of_validity(not_before: Timestamp, not_after: Timestamp) -> Self {
        let due = renewal_due(not_before, not_after);
        let half = ((not_after - not_before) / (2 * OF_LIFETIME)).max(Duration::SECOND);
        Self {
            start: due - half,
            end: due + half,
        }
    }

    /// Renew now: a window that ended at this moment.
    pub fn over_since(at: Timestamp) -> Self {
        Self {
            start: at - COLLAPSED,
            end: at,
        }
    }

    /// What an authority suggests for a certificate of its own, given what its administrator has said of replacing some.
    pub fn suggested(certificate: &Certificate, replacement: Option<&Replacement>) -> Self {
        if let CertificateState::Revoked { at, .. } = certificate.state {
            return Self::over_since(at);
        }
        let usual = Self::of_validity(certificate.not_before, certificate.not_after);
        match replacement {
            Some(replacement) if certificate.created_at < replacement.issued_before => {
                let wanted = replacement.window();
                if wanted.end < usual.end {
                    wanted
                } else {
                    usual
                }
            }
            Some(_) | None => usual,
        }
    }

    /// Its beginning.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Its end.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// A moment in it, each as likely as any other, so that many do not come at once.
    pub fn draw(&self, rng: &mut dyn RngCore) -> Timestamp {
        let width = (self.end - self.start).whole_milliseconds();
        let width = u64::try_from(width).unwrap_or(u64::MAX);
        // The bias of so few milliseconds among 2^64 is nothing.
        let into = rng.next_u64() % width.saturating_add(1);
        self.start + Duration::milliseconds(i64::try_from(into).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::{Clock, SystemClock, SystemRng};

    const MINUTE: i64 = 60;

    fn validity(seconds: i64) -> (Timestamp, Timestamp) {
        let from = SystemClock.now();
        (from, from + Duration::seconds(seconds))
    }

    #[test]
    fn two_thirds_of_a_long_life_and_half_of_a_short_one() {
        for (lifetime, due) in [
            (Duration::days(90), Duration::days(60)),
            (Duration::days(47), Duration::days(47) * 2 / 3),
            (Duration::days(10), Duration::days(10) * 2 / 3),
            (Duration::hours(160), Duration::hours(80)),
            (Duration::days(6), Duration::days(3)),
        ] {
            let (from, to) = validity(lifetime.whole_seconds());
            assert!((renewal_due(from, to) - (from + due)).abs() < Duration::SECOND);
        }
    }

    proptest! {
        /// Whatever the lifetime, from a minute to thirty years: the window is inside of it, leaves a third of it (or half,
        /// less a 50th) to renew in, and scales with it.
        #[test]
        fn a_window_leaves_time_to_renew(seconds in MINUTE..30 * 365 * 86_400) {
            let (from, to) = validity(seconds);
            let window = RenewalWindow::of_validity(from, to);
            prop_assert!(from < window.start && window.start < window.end && window.end < to);
            let lifetime = Duration::seconds(seconds);
            prop_assert!(to - window.end > lifetime * 3 / 10);
            let wide = window.end - window.start;
            prop_assert!(wide >= Duration::seconds(2).min(lifetime / 25) && wide <= lifetime / 10);
            for _ in 0..20 {
                let drawn = window.draw(&mut SystemRng);
                prop_assert!(window.start <= drawn && drawn <= window.end);
            }
        }
    }

    #[test]
    fn what_is_over_is_now_and_what_is_no_window_is_none() {
        let now = SystemClock.now();
        let over = RenewalWindow::over_since(now);
        assert!(over.start < over.end && over.end <= now);
        assert!(over.draw(&mut SystemRng) <= now);
        assert_eq!(RenewalWindow::new(now, now), None);
        assert_eq!(RenewalWindow::new(now, now - Duration::SECOND), None);
    }
}
