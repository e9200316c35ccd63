//! Removes what has served its time, in small steps, one after the other as long as there is more.

use certfleet_audit::Head;
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::Timestamp;
use certfleet_jobs::{Lease, Progress};
use certfleet_storage::{Keep, MayGo, Trimmed, Unit};

use super::{HandlerError, Handlers};

impl Handlers {
    pub(super) async fn apply_retention(
        &self,
        lease: &Lease,
        keep: Keep,
        audit_before: Option<Timestamp>,
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
                let (authorizations, versions) = (removed.authorizations, removed.versions);
                tracing::info!(
                    nonces,
                    orders,
                    authorizations,
                    versions,
                    "removed what has served its time"
                );
            }
            progress.done += removed.total();
            if !self.store.jobs.report(lease, &progress).await? {
                return Err(HandlerError::LostLease);
            }
            if !removed.more() {
                break;
            }
        }
        if let Some(before) = audit_before {
            self.trim_audit(before).await?;
        }
        self.finish(lease, Unit::default()).await
    }

    /// What a receiver of the audit trail does not have yet stays, however old it is.
    async fn trim_audit(&self, before: Timestamp) -> Result<(), HandlerError> {
        let audit = self.store.audit();
        let below = match self.siem.forwarding() {
            Some(_) => audit.forwarded(&self.siem.name).await?.next,
            None => u64::MAX,
        };
        let may_go = MayGo { before, below };
        let record = |start: &Head| self.recorder.trimmed(start.size(), before);
        match audit.trim(may_go, record).await? {
            Trimmed::Nothing => {}
            Trimmed::To(begins) => tracing::info!(begins, "the audit trail begins later"),
            Trimmed::Refused(why) => {
                tracing::error!(
                    why,
                    "the audit trail is not what was signed: nothing of it is removed"
                );
            }
        }
        Ok(())
    }
}
