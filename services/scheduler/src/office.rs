//! What the leader does: it enqueues each duty's run when its time has come.
//!
//! It reads the timetable, enqueues what is due, and sleeps until something is due again. What it enqueues is asserted
//! with its term, in the same transaction: who was paused in the middle, and wakes when another leads, is refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{ServerId, Timestamp};
use certfleet_storage::{CommitError, LastRun, Look, Run, StorageError, Store, Term, Timetable};
use tokio::time::sleep;

use crate::duties::Duty;
use crate::election::Office;
use crate::metrics::Metrics;
use crate::slot::{next, slot};

/// How long to wait after the database failed, and between two looks at a run that goes on when the next is due.
const SHORT: Duration = Duration::from_secs(1);
/// The longest sleep: a new primary's clock may be ahead.
const LONGEST: Duration = Duration::from_secs(30);

/// The office of the scheduler.
pub struct SchedulerOffice {
    /// The database.
    pub store: Store,
    /// The timetable of the duties.
    pub timetable: Timetable,
    /// The duties.
    pub duties: Arc<Vec<Duty>>,
    /// Who would lead.
    pub me: ServerId,
    /// In which term, if it does.
    pub leading: Leading,
    /// For `/metrics`.
    pub metrics: Metrics,
}

/// Whether this process leads, for `/healthz`. Clones share it.
#[derive(Clone, Default)]
pub struct Leading(Arc<Mutex<Option<Term>>>);

impl Leading {
    /// The term in which this process leads, if it does.
    pub fn term(&self) -> Option<Term> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, term: Option<Term>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = term;
    }
}

/// Leads as long as it lives.
struct Tenure<'a>(&'a Leading);

impl<'a> Tenure<'a> {
    fn begin(leading: &'a Leading, term: Term) -> Self {
        leading.set(Some(term));
        Self(leading)
    }
}

impl Drop for Tenure<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Office for SchedulerOffice {
    async fn fill(&self, term: Term) {
        let _tenure = Tenure::begin(&self.leading, term);
        reach(CrashPoint::LeadTaken);
        loop {
            let wait = match self.tick(term).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "the timetable cannot be read");
                    SHORT
                }
            };
            sleep(wait).await;
        }
    }
}

impl SchedulerOffice {
    /// Enqueues what is due. Gives how long nothing will be.
    pub(crate) async fn tick(&self, term: Term) -> Result<Duration, StorageError> {
        // There is a lease, since it is ours.
        let Some(look) = self.timetable.read().await? else {
            return Ok(SHORT);
        };
        let mut wait = LONGEST;
        for duty in self.duties.iter() {
            let last = look.last.iter().find(|last| last.duty == duty.name);
            wait = wait.min(self.see_to(duty, last, &look, term).await);
        }
        Ok(wait)
    }

    /// Enqueues a duty's run if its time has come. Gives how long to wait until the next look at it.
    async fn see_to(
        &self,
        duty: &Duty,
        last: Option<&LastRun>,
        look: &Look,
        term: Term,
    ) -> Duration {
        let before = last.map(|last| last.due);
        let Some(slot) = slot(before, duty.every, look.now) else {
            return before.map_or(SHORT, |last| until(next(last, duty.every), look.now));
        };
        // The next run is for what is due meanwhile, too.
        if last.is_some_and(LastRun::goes_on) {
            return SHORT;
        }
        let job = (duty.job)(slot);
        let run = Run {
            duty: duty.name,
            due: slot.due,
            since: slot.since,
            last: before,
            job: &job,
        };
        reach(CrashPoint::RunDue);
        match self.enqueue(term, run).await {
            Ok(()) => {
                reach(CrashPoint::RunEnqueued);
                tracing::debug!(duty = duty.name, due = %slot.due, "enqueued");
                self.metrics
                    .enqueued(duty.name, (look.now - slot.due).unsigned_abs());
                until(next(slot.due, duty.every), look.now)
            }
            Err(CommitError::Storage(error)) => {
                tracing::error!(duty = duty.name, due = %slot.due, %error, "not enqueued");
                self.metrics.not_enqueued(duty.name, "failed");
                SHORT
            }
            // Another leads, or we have done it and were not told: the next look shows it.
            Err(error) => {
                tracing::warn!(duty = duty.name, due = %slot.due, %error, "not enqueued");
                self.metrics.not_enqueued(duty.name, "refused");
                SHORT
            }
        }
    }

    async fn enqueue(&self, term: Term, run: Run<'_>) -> Result<(), CommitError> {
        let unit = self.timetable.enter(self.me, term, run)?;
        self.store.commit(unit).await
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    // A little after, by the clock of the database: a look that comes too early costs another.
    Duration::try_from(at - now).unwrap_or_default() + Duration::from_millis(5)
}
