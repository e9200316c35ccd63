//! Enqueues a look at each managed certificate that is due for one. Reads what is due, by an index, and nothing else.

use certfleet_jobs::{Job, JobKind, Lease};
use certfleet_storage::{CommitError, Unit};

use super::{HandlerError, Handlers};

/// So many are enqueued with one transaction.
const AT_ONCE: i64 = 100;
/// So many wait or are in hand at the most, however many are due: what workers do until the next run, with room to spare. A claim
/// that has no room for more of them has to look past all that wait; what is due and not enqueued costs nothing.
const WAITING: i64 = 1000;

impl Handlers {
    pub(super) async fn plan_renewals(&self, lease: &Lease) -> Result<(), HandlerError> {
        let mut planned = 0;
        let waiting = self.store.totals().waiting().await?;
        let waiting = waiting.get(JobKind::RenewManaged.name());
        let mut room = WAITING - waiting.map_or(0, |waiting| waiting.depth);
        while room > 0 {
            let now = self.clock.now();
            let due = self.store.fleet.due(now, AT_ONCE.min(room)).await?;
            if due.is_empty() {
                break;
            }
            let found = due.len();
            // Those that others are faster with count as well: no run is endless.
            room -= i64::try_from(found).unwrap_or(i64::MAX);
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
