//! How much waits, read at most once in a while.

use std::collections::BTreeMap;
use std::time::Duration;

use certfleet_domain::{Clock as _, SystemClock};
use certfleet_storage::{Store, Waiting};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::refusal::Refusal;

/// How old an answer may be. A `HorizontalPodAutoscaler` asks every 15 s.
const KEPT: Duration = Duration::from_secs(5);
/// How long the database may take.
const ANSWERS_WITHIN: Duration = Duration::from_millis(900);

/// What waits, by the name of its kind: each kind of this build is there, though none of it waits.
pub type Queue = BTreeMap<String, Waiting>;

/// What waited at a moment.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What.
    pub queue: Queue,
    /// When.
    pub at: OffsetDateTime,
}

/// Reads how much waits.
pub struct Readings {
    store: Store,
    last: Mutex<Option<(Instant, Reading)>>,
}

impl Readings {
    /// Of this database.
    pub fn of(store: Store) -> Self {
        Self {
            store,
            last: Mutex::default(),
        }
    }

    /// How much waits, as of 5 s ago at most. However many ask, one reads.
    pub async fn read(&self) -> Result<Reading, Refusal> {
        let mut last = self.last.lock().await;
        if let Some((read, reading)) = &*last
            && read.elapsed() < KEPT
        {
            return Ok(reading.clone());
        }
        let at = SystemClock.now();
        let queue = match timeout(ANSWERS_WITHIN, self.store.totals().waiting()).await {
            Ok(Ok(queue)) => queue,
            Ok(Err(error)) => {
                tracing::warn!(%error, "how much waits is not known");
                return Err(Refusal::unavailable("the database is in trouble"));
            }
            Err(_) => {
                tracing::warn!("how much waits is not known: no answer within {ANSWERS_WITHIN:?}");
                return Err(Refusal::unavailable("the database does not answer"));
            }
        };
        let reading = Reading { queue, at };
        *last = Some((Instant::now(), reading.clone()));
        Ok(reading)
    }
}
