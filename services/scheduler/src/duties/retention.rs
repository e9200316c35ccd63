use std::sync::Arc;
use std::time::Duration;

use certfleet_domain::{Clock, Timestamp};
use certfleet_storage::{Keep, Removed, StorageError, Store};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Duty;

/// Removes what has served its time, in small steps, one after the other as long as there is more.
pub struct RetentionDuty {
    /// The database.
    pub store: Store,
    /// How long orders are kept after they expired.
    pub orders: Duration,
    /// How long authorizations are kept after they expired.
    pub authorizations: Duration,
    /// How long jobs are kept after they finished.
    pub jobs: Duration,
    /// When it is.
    pub clock: Arc<dyn Clock>,
}

impl Duty for RetentionDuty {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn run(&self) -> BoxFuture<'_, Result<String, StorageError>> {
        self.remove().boxed()
    }
}

impl RetentionDuty {
    async fn remove(&self) -> Result<String, StorageError> {
        let retention = self.store.retention();
        if retention.keep_finished_jobs(self.jobs).await? {
            tracing::info!(time = ?self.jobs, "finished jobs are kept for another time from now on");
        }
        let now = self.clock.now();
        let keep = Keep {
            orders_since: before(now, self.orders),
            authorizations_since: before(now, self.authorizations),
        };
        let mut total = Removed::default();
        loop {
            let step = retention.step(now, keep).await?;
            total.nonces += step.nonces;
            total.orders += step.orders;
            total.authorizations += step.authorizations;
            if !step.more() {
                return Ok(format!(
                    "{} nonces, {} orders and {} authorizations removed",
                    total.nonces, total.orders, total.authorizations
                ));
            }
        }
    }
}

/// So long before now; the beginning of time if that is later.
fn before(now: Timestamp, time: Duration) -> Timestamp {
    time::Duration::try_from(time)
        .ok()
        .and_then(|time| now.checked_sub(time))
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .max(Timestamp::UNIX_EPOCH)
}
