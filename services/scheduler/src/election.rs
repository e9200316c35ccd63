//! Who leads: the one that holds the lease, as long as it can be sure of it.
//!
//! The lease is judged by the server's clock, and renewed well before its end. A leader that cannot renew it gives its
//! office up by its own clock, a margin before the lease can have ended: two never lead at once. Duties bear a repeat
//! all the same, since what a leader has sent may arrive late.

use std::future::pending;
use std::time::Duration;

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::ServerId;
use certfleet_storage::{Leadership, StorageError, Term};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How often one who stands by looks whether the leader has stepped down. The end of its lease is not waited out beyond
/// its time, whatever this is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long stepping down may take on the way out; after that, the lease ends by itself.
const STEP_DOWN_WITHIN: Duration = Duration::from_secs(3);

/// The lease, as one process sees it.
pub trait Role: Send + Sync {
    /// How long another has it from now, if another has it. Writes nothing.
    fn held_by_another(
        &self,
    ) -> impl Future<Output = Result<Option<Duration>, StorageError>> + Send;

    /// Takes it or keeps it, for the time to live from now. `None` if another has it.
    fn hold(&self) -> impl Future<Output = Result<Option<Term>, StorageError>> + Send;

    /// Gives it up.
    fn step_down(&self, term: Term) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// The lease in the database.
pub struct Lease {
    /// The role.
    pub role: Leadership,
    /// Who would lead.
    pub me: ServerId,
    /// How long it lasts unless it is renewed.
    pub ttl: Duration,
}

impl Role for Lease {
    async fn held_by_another(&self) -> Result<Option<Duration>, StorageError> {
        self.role.held_by_another(self.me).await
    }

    async fn hold(&self) -> Result<Option<Term>, StorageError> {
        self.role.hold(self.me, self.ttl).await
    }

    async fn step_down(&self, term: Term) -> Result<(), StorageError> {
        self.role.step_down(self.me, term).await
    }
}

/// What the leader does.
pub trait Office: Send + Sync {
    /// Does it in this term. Dropped when the term ends.
    fn fill(&self, term: Term) -> impl Future<Output = ()> + Send;
}

/// One who stands for the office.
pub struct Elector<R> {
    /// The lease.
    pub role: R,
    /// How long it lasts unless it is renewed.
    pub ttl: Duration,
    /// How often the leader renews it; less than half of the above.
    pub renew_every: Duration,
    /// Where changes are counted.
    pub metrics: Metrics,
}

/// Why an office ended.
enum End {
    /// The process is to go.
    Shutdown,
    /// Another has the lease, or had it.
    Lost,
    /// Nobody knows: it could not be renewed.
    Unsure,
}

impl<R: Role> Elector<R> {
    /// Stands for the office until `shutdown`, and fills it while it is held.
    pub async fn run(&self, office: &impl Office, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let wait = self.stand(office, shutdown).await;
            shutdown.run_until_cancelled(sleep(wait)).await;
        }
    }

    /// Looks once, and leads if nobody does. Gives how long to wait until the next look.
    async fn stand(&self, office: &impl Office, shutdown: &CancellationToken) -> Duration {
        let asked = Instant::now();
        let taken = timeout(self.renew_every, async {
            match self.role.held_by_another().await? {
                Some(left) => Ok(Err(left)),
                None => self.role.hold().await.map(Ok),
            }
        });
        match taken.await {
            Ok(Ok(Ok(Some(term)))) => {
                self.lead(term, asked, office, shutdown).await;
                return Duration::ZERO;
            }
            // Another was faster.
            Ok(Ok(Ok(None))) => {}
            Ok(Ok(Err(left))) => return left.min(LOOK_EVERY),
            Ok(Err(error)) => tracing::warn!(%error, "the leader's lease cannot be asked for"),
            Err::<_, Elapsed>(_) => {
                tracing::warn!("the leader's lease cannot be asked for: no answer");
            }
        }
        LOOK_EVERY
    }

    async fn lead(
        &self,
        term: Term,
        asked: Instant,
        office: &impl Office,
        shutdown: &CancellationToken,
    ) {
        tracing::info!(term = term.0, "this scheduler leads");
        self.metrics.leads(true);
        let end = tokio::select! {
            biased;
            end = self.keep(term, asked, shutdown) => end,
            never = fill(office, term) => never,
        };
        self.metrics.leads(false);
        match end {
            End::Shutdown => self.step_down(term).await,
            End::Lost => tracing::warn!(term = term.0, "another has taken the lead"),
            End::Unsure => tracing::warn!(
                term = term.0,
                "the lease could not be renewed in time; no longer leading"
            ),
        }
    }

    /// Renews the lease until that fails or the process is to go.
    async fn keep(&self, term: Term, asked: Instant, shutdown: &CancellationToken) -> End {
        let mut sure_until = self.sure_until(asked);
        let mut next = asked + self.renew_every;
        loop {
            // A renewal that is under way is never cut short by the end: it could arrive after the stepping down.
            let wait = sleep_until(next.min(sure_until));
            if shutdown.run_until_cancelled(wait).await.is_none() {
                return End::Shutdown;
            }
            let asked = Instant::now();
            match timeout_at(sure_until, self.role.hold()).await {
                Err(_) => return End::Unsure,
                Ok(Ok(Some(held))) if held == term => {
                    sure_until = self.sure_until(asked);
                    next = asked + self.renew_every;
                }
                Ok(Ok(_)) => return End::Lost,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the leader's lease cannot be renewed");
                    if Instant::now() >= sure_until {
                        return End::Unsure;
                    }
                    next = Instant::now() + self.renew_every / 5;
                }
            }
        }
    }

    /// Until when a lease that was asked for then is surely ours. A fifth is left for what is on its way to the
    /// database, and for clocks that do not run alike.
    fn sure_until(&self, asked: Instant) -> Instant {
        asked + self.ttl.mul_f64(0.8)
    }

    async fn step_down(&self, term: Term) {
        reach(CrashPoint::LeadToBeGivenUp);
        match timeout(STEP_DOWN_WITHIN, self.role.step_down(term)).await {
            Ok(Ok(())) => tracing::info!(term = term.0, "stepped down"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease is left to end by itself"),
            Err(_) => tracing::warn!("the lease is left to end by itself: no answer"),
        }
    }
}

/// Whatever there was to do may be done; the lease is kept all the same.
async fn fill(office: &impl Office, term: Term) -> End {
    office.fill(term).await;
    pending().await
}
