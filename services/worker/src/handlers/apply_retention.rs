//! Removes what has served its time, in small steps, one after the other as long as there is more.

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_jobs::{Lease, Progress};
use certfleet_storage::{Keep, Unit};

use super::{HandlerError, Handlers};

impl Handlers {
    pub(super) async fn apply_retention(
        &self,
        lease: &Lease,
        keep: Keep,
    ) -> Result<(), HandlerError> {
        reach(CrashPoint::RetentionBegun);
        let retention = self.store.retention();
        if retention.keep_finished_jobs(keep.jobs).await? {
            tracing::info!(time = ?keep.jobs, "finished jobs are kept for another time from now on");
        }
        let mut progress = Progress {
            done: 0,
            total: None,
            of: "documents".to_owned(),
        };
        loop {
            let removed = retention.step(keep).await?;
            reach(CrashPoint::RetentionStepped);
            if removed.total() > 0 {
                let (nonces, orders) = (removed.nonces, removed.orders);
                let authorizations = removed.authorizations;
                tracing::info!(
                    nonces,
                    orders,
                    authorizations,
                    "removed what has served its time"
                );
            }
            progress.done += removed.total();
            if !self.store.jobs.report(lease, &progress).await? {
                return Err(HandlerError::LostLease);
            }
            if !removed.more() {
                return self.finish(lease, Unit::default()).await;
            }
        }
    }
}
