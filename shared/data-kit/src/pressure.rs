//! How hard the connection pool is pressed, and what follows for those who want something of it: while connections are
//! short, a request that has not touched the database yet is better refused than made to wait behind all others.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certfleet_storage::{Pool, PoolState};
use tokio::time::Instant;

/// Pools larger than this count as pressed later: a small share of many is still some.
const LARGE: u32 = 20;
/// While there is nothing to be had, one may try this often, so that it is seen when that ends.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// How hard a pool is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// It may still grow, or enough of it is free.
    None,
    /// Half or less is free, a fifth of a large one, and operations wait.
    Waiting,
    /// 30 % or less is free, 10 % of a large one.
    Critical,
    /// Nothing is free, and operations wait.
    Exhausted,
}

impl Pressure {
    /// Of a pool.
    pub fn of(pool: PoolState) -> Self {
        let free = pool.available();
        let waiting = pool.waiting > 0;
        let (half, third) = if pool.size > LARGE {
            (20, 10)
        } else {
            (50, 30)
        };
        let at_most =
            |percent: u32| u64::from(free) * 100 <= u64::from(pool.size) * u64::from(percent);
        if pool.open < pool.size {
            Self::None
        } else if free == 0 && waiting {
            Self::Exhausted
        } else if at_most(third) {
            Self::Critical
        } else if at_most(half) && waiting {
            Self::Waiting
        } else {
            Self::None
        }
    }

    /// How long who is refused is to wait; `None` when nobody is.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Waiting => Some(Duration::from_secs(2)),
            Self::Critical => Some(Duration::from_secs(3)),
            Self::Exhausted => Some(Duration::from_secs(5)),
        }
    }
}

/// A pool that is pressed too hard for anything new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressed {
    /// How hard.
    pub pressure: Pressure,
    /// The pool.
    pub pool: PoolState,
}

impl fmt::Display for Pressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.pressure {
            Pressure::None => "is not pressed",
            Pressure::Waiting => "is pressed",
            Pressure::Critical => "is nearly exhausted",
            Pressure::Exhausted => "is exhausted",
        };
        let PoolState { size, waiting, .. } = self.pool;
        let available = self.pool.available();
        write!(
            f,
            "the pool of database connections {how}: size {size}, available {available}, waiting {waiting}"
        )
    }
}

/// Lets requests through to the pool, or refuses them.
#[derive(Debug)]
pub struct PressureGuard {
    pool: Arc<Pool>,
    /// When one was last let through though nothing was free.
    tried: Mutex<Option<Instant>>,
}

impl PressureGuard {
    /// Of a pool.
    pub fn new(pool: Arc<Pool>) -> Self {
        let tried = Mutex::new(None);
        Self { pool, tried }
    }

    /// Whether a request may go on to the database.
    pub fn admit(&self) -> Result<(), Pressed> {
        self.judge(self.pool.state(), Instant::now())
    }

    fn judge(&self, pool: PoolState, now: Instant) -> Result<(), Pressed> {
        let pressure = Pressure::of(pool);
        let passes = match pressure {
            Pressure::None => true,
            Pressure::Waiting | Pressure::Critical => false,
            Pressure::Exhausted => self.may_try(now),
        };
        if passes {
            Ok(())
        } else {
            Err(Pressed { pressure, pool })
        }
    }

    fn may_try(&self, now: Instant) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.is_some_and(|last| now.duration_since(last) < TRY_EVERY) {
            return false;
        }
        *tried = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(size: u32, in_use: u32, waiting: u32) -> PoolState {
        PoolState {
            size,
            open: size,
            in_use,
            waiting,
        }
    }

    #[test]
    fn the_tiers_begin_where_they_are_said_to() {
        use Pressure::{Critical, Exhausted, None, Waiting};
        for (size, in_use, waiting, due) in [
            (20, 9, 5, None),
            (20, 10, 0, None),
            (20, 10, 1, Waiting),
            (20, 13, 1, Waiting),
            (20, 14, 0, Critical),
            (20, 20, 0, Critical),
            (20, 20, 1, Exhausted),
            (100, 79, 9, None),
            (100, 80, 0, None),
            (100, 80, 1, Waiting),
            (100, 89, 1, Waiting),
            (100, 90, 0, Critical),
            (100, 100, 1, Exhausted),
            // More than there should be, for a moment: connections of a member that was the primary.
            (2, 3, 1, Exhausted),
        ] {
            let state = pool(size, in_use, waiting);
            assert_eq!(Pressure::of(state), due, "{state:?}");
        }
    }

    #[test]
    fn a_pool_that_may_grow_is_not_pressed() {
        let young = PoolState {
            open: 19,
            ..pool(20, 19, 50)
        };
        assert_eq!(Pressure::of(young), Pressure::None);
    }

    #[test]
    fn of_those_that_meet_an_exhausted_pool_one_is_let_through_every_two_seconds() {
        let guard = PressureGuard::new(Arc::new(Pool::default()));
        let (empty, now) = (pool(10, 10, 3), Instant::now());
        let at = |milliseconds| now + Duration::from_millis(milliseconds);
        let passed =
            [0, 1, 1_999, 2_000, 2_001, 4_100].map(|moment| guard.judge(empty, at(moment)).is_ok());
        assert_eq!(passed, [true, false, false, true, false, true]);
        let refused = guard.judge(empty, at(4_200)).unwrap_err();
        assert_eq!(refused.pressure.retry_after(), Some(Duration::from_secs(5)));
        assert_eq!(
            refused.to_string(),
            "the pool of database connections is exhausted: size 10, available 0, waiting 3"
        );
        assert!(guard.judge(pool(10, 8, 0), at(4_300)).is_err());
        assert!(guard.judge(pool(10, 2, 0), at(4_300)).is_ok());
    }
}
