//! Gives orders and challenges that wait for a job, and have none, their job back.
//!
//! State and job are written together, so there should be nothing to do; each one found is worth a look at why.

use std::time::Duration;

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_jobs::Lease;
use certfleet_storage::Unit;

use super::{HandlerError, Handlers};

/// What is younger may just be on its way.
const OLDER_THAN: Duration = Duration::from_secs(60);

impl Handlers {
    pub(super) async fn recover_work(&self, lease: &Lease) -> Result<(), HandlerError> {
        reach(CrashPoint::RecoveryBegun);
        let recovered = self.store.jobs.recover(OLDER_THAN).await?;
        reach(CrashPoint::RecoveryDone);
        let (validations, signatures) = (recovered.validations, recovered.signatures);
        if validations + signatures > 0 {
            tracing::warn!(validations, signatures, "lost jobs were brought back");
        }
        self.finish(lease, Unit::default()).await
    }
}
