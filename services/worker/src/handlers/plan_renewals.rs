//! Enqueues a look at each managed certificate that is due for one. Reads what is due, by an index, and nothing else.

use certfleet_jobs::{Job, Lease};
use certfleet_storage::{CommitError, Unit};

use super::{HandlerError, Handlers};

/// So many are enqueued with one transaction.
const AT_ONCE: i64 = 100;
/// So many transactions in one run; the next is due soon.
const ROUNDS: usize = 100;

impl Handlers {
    pub(super) async fn plan_renewals(&self, lease: &Lease) -> Result<(), HandlerError> {
        let mut planned = 0;
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let due = self.store.fleet.due(now, AT_ONCE).await?;
            if due.is_empty() {
                break;
            }
            let found = due.len();
            let mut unit = Unit::default();
            for managed in due {
                let job = Job::RenewManaged {
                    managed: managed.id,
                    round: managed.round,
                };
                // One that is being done already stays as it is.
                unit = unit
                    .and(self.store.jobs.enqueue(&job)?)
                    .and(self.store.fleet.update(&managed.looked_after(now))?);
            }
            match self.store.commit(unit).await {
                Ok(()) => planned += found,
                // One of them has just come to its end: look again.
                Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {}
                Err(CommitError::Storage(error)) => return Err(error.into()),
            }
        }
        if planned > 0 {
            tracing::info!(certificates = planned, "are due for a look");
        }
        self.finish(lease, Unit::default()).await
    }
}
