//! The jobs in hand: carried out side by side, their leases renewed, handed back when time runs out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{LeaseToken, SystemRng};
use certfleet_jobs::{Backoff, JobKey, Lane, Lease, Outcome, Room};
use certfleet_storage::Unit;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

use crate::handlers::{HandlerError, Handlers};
use crate::metrics::Metrics;

/// A job in hand.
struct Held {
    token: LeaseToken,
    lane: Lane,
    party: Option<String>,
    /// Cancelled when the lease is lost.
    lost: CancellationToken,
}

/// How metrics call the end of work that another has by now.
const LOST_LEASE: &str = "lost-lease";

/// How many hands there are, and how many of them one party may have.
#[derive(Debug, Clone, Copy)]
pub struct Hands {
    /// Of each lane.
    pub of_lane: usize,
    /// The most for one authority; its jobs go in the lane that depends on us alone.
    pub per_authority: usize,
}

impl Hands {
    /// The most for one party of a lane. An account may have a quarter of those that wait for strangers, and so may the
    /// fleet.
    fn share(self, lane: Lane) -> usize {
        match lane {
            Lane::Inside => self.per_authority,
            Lane::Outside => (self.of_lane / 4).max(1),
        }
    }
}

/// The jobs in hand. Clones share them.
#[derive(Clone)]
pub struct Crew {
    handlers: Arc<Handlers>,
    metrics: Metrics,
    hands: Hands,
    held: Arc<Mutex<HashMap<JobKey, Held>>>,
    /// Rung when a job is out of hand.
    freed: Arc<Notify>,
    tasks: TaskTracker,
    /// Cancelled when running jobs are to be handed back.
    hand_back: CancellationToken,
}

impl Crew {
    /// With these hands.
    pub fn new(handlers: Arc<Handlers>, metrics: Metrics, hands: Hands) -> Self {
        Self {
            handlers,
            metrics,
            hands,
            held: Arc::default(),
            freed: Arc::default(),
            tasks: TaskTracker::new(),
            hand_back: CancellationToken::new(),
        }
    }

    /// What there is room for in each lane.
    pub fn rooms(&self) -> [Room; Lane::ALL.len()] {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Lane::ALL.map(|lane| {
            let in_hand = || held.values().filter(|held| held.lane == lane);
            let free = self.hands.of_lane.saturating_sub(in_hand().count());
            Room::new(
                lane,
                free,
                self.hands.share(lane),
                in_hand().filter_map(|held| held.party.as_deref()),
            )
        })
    }

    /// Waits until a job is out of hand.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// The jobs in hand, each with the claim it was taken with.
    pub fn held(&self) -> Vec<(JobKey, LeaseToken)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter()
            .map(|(key, held)| (key.clone(), held.token))
            .collect()
    }

    /// Stops the work on jobs whose lease was lost: it could not be written any more.
    pub fn discard(&self, lost: &[JobKey]) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for held in lost.iter().filter_map(|key| held.get(key)) {
            held.lost.cancel();
        }
    }

    /// Takes a job in hand.
    pub fn take(&self, lease: Lease) {
        let lost = CancellationToken::new();
        let held = Held {
            token: lease.token,
            lane: lease.job.kind().lane(),
            party: lease.job.party(),
            lost: lost.clone(),
        };
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(lease.key.clone(), held);
        let crew = self.clone();
        self.tasks.spawn(async move {
            reach(CrashPoint::JobInHand);
            let kind = lease.job.kind();
            let timer = crew.metrics.started(kind);
            let span = span_of(&lease);
            let outcome = lost
                .run_until_cancelled(Box::pin(crew.carry_out(&lease)).instrument(span.clone()))
                .await
                .unwrap_or_else(|| {
                    tracing::warn!(job = %lease.key, "the lease was lost; the work is stopped");
                    LOST_LEASE
                });
            crew.metrics.ended(kind, outcome, timer);
            certfleet_trace::tell(&span, "job.outcome", outcome);
            crew.forget(&lease);
            crew.freed.notify_one();
        });
    }

    /// A job is out of hand; unless it was claimed again here meanwhile.
    fn forget(&self, lease: &Lease) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held
            .get(&lease.key)
            .is_some_and(|held| held.token == lease.token)
        {
            held.remove(&lease.key);
        }
    }

    /// Gives how it ended, as metrics have it.
    async fn carry_out(&self, lease: &Lease) -> &'static str {
        let kind = lease.job.kind();
        let handled = self
            .hand_back
            .run_until_cancelled(Box::pin(self.handlers.handle(lease)))
            .await;
        match handled {
            None => self.end(lease, Outcome::Release).await,
            Some(Ok(())) => "done",
            Some(Err(HandlerError::LostLease)) => {
                tracing::warn!(job = %lease.key, fence = lease.fence.0, "the lease was lost; the work is discarded");
                LOST_LEASE
            }
            Some(Err(HandlerError::Lasting(error))) => {
                self.end(lease, Outcome::Fail { error }).await
            }
            Some(Err(error @ (HandlerError::Passing(_) | HandlerError::Changed))) => {
                let outcome =
                    Backoff::of(kind).after(lease.attempt, error.to_string(), &mut SystemRng);
                self.end(lease, outcome).await
            }
        }
    }

    /// Ends an attempt that did not come to its end. If that cannot be written either, the lease will run out.
    async fn end(&self, lease: &Lease, outcome: Outcome) -> &'static str {
        let (name, result) = match &outcome {
            Outcome::Done => ("done", Ok(Unit::default())),
            Outcome::Release => ("released", Ok(Unit::default())),
            Outcome::Retry { after, error } => {
                tracing::warn!(job = %lease.key, attempt = lease.attempt, ?after, error, "to be tried again");
                ("retried", Ok(Unit::default()))
            }
            Outcome::Fail { error } => {
                tracing::error!(job = %lease.key, attempt = lease.attempt, error, "given up");
                ("dead", self.handlers.give_up(lease).await)
            }
        };
        reach(CrashPoint::AttemptFailed);
        let written = match result {
            Ok(result) => self.handlers.end(lease, &outcome, result).await,
            Err(error) => Err(error),
        };
        reach(CrashPoint::AttemptEnded);
        match written {
            Ok(()) => name,
            // Whatever went wrong before, as a connection that had stood still as long as this process.
            Err(HandlerError::LostLease) => {
                tracing::warn!(job = %lease.key, fence = lease.fence.0, "the lease was lost; how it ended is discarded");
                LOST_LEASE
            }
            Err(error) => {
                tracing::warn!(job = %lease.key, %error, "the end of the attempt is not written; the lease will run out");
                name
            }
        }
    }

    /// Waits for the jobs in hand, until `deadline` at most; those still running then are handed back.
    pub async fn drain(&self, deadline: std::time::Duration) {
        reach(CrashPoint::Draining);
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                jobs = self.tasks.len(),
                "handing back what is still running"
            );
            self.hand_back.cancel();
            self.tasks.wait().await;
        }
    }
}

/// The span of an attempt: below what called for the job, in the same trace, the first attempt and all others.
fn span_of(lease: &Lease) -> Span {
    let kind = lease.job.kind().name();
    let span = tracing::trace_span!(
        target: certfleet_trace::TARGET,
        "job",
        otel.name = kind,
        otel.kind = "consumer",
        job.key = %lease.key,
        job.attempt = i64::from(lease.attempt),
    );
    if let Some(parent) = lease.trace {
        certfleet_trace::go_on(&span, parent);
    }
    span
}
