//! A circuit breaker: who has failed several times in a row is left alone for a while.

use std::sync::{Mutex, PoisonError};

use certfleet_domain::Timestamp;
use time::Duration;

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// So long it stays open; then one try decides.
const REST: Duration = Duration::seconds(30);

/// Whether to try.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Before this nobody tries.
    rests_until: Option<Timestamp>,
}

impl Breaker {
    /// Whether to try now. After a rest one caller is told to; the others wait for what it finds, or another rest.
    pub(crate) fn lets_through(&self, now: Timestamp) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.rests_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.rests_until = Some(now + REST);
                true
            }
        }
    }

    /// It worked.
    pub(crate) fn worked(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// It did not; the answer is whether that opened it.
    pub(crate) fn failed(&self, now: Timestamp) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        let opens = state.failures >= FAILURES;
        if opens {
            state.rests_until = Some(now + REST);
        }
        opens && state.failures == FAILURES
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{Clock as _, ManualClock, SystemClock};

    use super::*;

    #[test]
    fn after_five_failures_in_a_row_it_rests_and_then_tries_once() {
        let clock = ManualClock::at(SystemClock.now());
        let breaker = Breaker::default();
        for round in 0..3 {
            for _ in 1..FAILURES {
                assert!(breaker.lets_through(clock.now()), "{round}");
                assert!(!breaker.failed(clock.now()), "{round}");
            }
            // One that works in between, and it counts anew.
            breaker.worked();
        }
        for _ in 1..FAILURES {
            assert!(!breaker.failed(clock.now()));
        }
        assert!(breaker.failed(clock.now()));
        clock.advance(REST - Duration::MILLISECOND);
        assert!(!breaker.lets_through(clock.now()));
        clock.advance(Duration::MILLISECOND);
        assert!(breaker.lets_through(clock.now()));
        assert!(!breaker.lets_through(clock.now()), "two try");
        assert!(!breaker.failed(clock.now()), "it was open");
        clock.advance(REST - Duration::MILLISECOND);
        assert!(!breaker.lets_through(clock.now()));
        clock.advance(Duration::MILLISECOND);
        assert!(breaker.lets_through(clock.now()));
        breaker.worked();
        assert!(breaker.lets_through(clock.now()));
    }
}
