//! Time and chance, as ports: whoever needs them takes them as an argument.

use std::sync::Mutex;

use rand::{CryptoRng, RngCore};
use time::{Duration, OffsetDateTime};

/// A moment in UTC, kept to the millisecond, which is what the database keeps.
pub type Timestamp = OffsetDateTime;

/// Where the present comes from.
pub trait Clock: Send + Sync {
    /// The present moment in UTC, to the millisecond.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        to_millisecond(OffsetDateTime::now_utc())
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(Mutex::new(to_millisecond(at)))
    }

    /// Moves the clock; a negative duration moves it back.
    pub fn advance(&self, by: Duration) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The operating system's random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl RngCore for SystemRng {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of the thread's generator"
    )]
    fn next_u32(&mut self) -> u32 {
        rand::rng().next_u32()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of the thread's generator"
    )]
    fn next_u64(&mut self) -> u64 {
        rand::rng().next_u64()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of the thread's generator"
    )]
    fn fill_bytes(&mut self, destination: &mut [u8]) {
        rand::rng().fill_bytes(destination);
    }
}

impl CryptoRng for SystemRng {}

fn to_millisecond(at: Timestamp) -> Timestamp {
    at - Duration::nanoseconds(i64::from(at.nanosecond() % 1_000_000))
}
