//! What a leader does, again and again. One file per duty.
//!
//! A duty must bear being run twice at once and being dropped at any await: the lease keeps two leaders apart, but what
//! the one before has sent may still arrive.

mod recovery;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use certfleet_domain::Clock;
use certfleet_storage::{StorageError, Term};
use futures_util::future::{BoxFuture, join_all};
use tokio::time::{Instant, sleep};

use crate::board::Board;
use crate::election::Office;
use crate::metrics::Metrics;

pub use recovery::Recovery;
pub use retention::RetentionDuty;

/// Something that the leader does every so often.
pub trait Duty: Send + Sync {
    /// Its name in metrics and `/healthz`.
    fn name(&self) -> &'static str;

    /// How long it rests between two runs.
    fn interval(&self) -> Duration;

    /// One run. Gives what it did, in a few words.
    fn run(&self) -> BoxFuture<'_, Result<String, StorageError>>;
}

/// The duties, and where is told how they went.
pub struct Duties {
    /// Each runs on its own: a slow one holds up no other.
    pub list: Vec<Box<dyn Duty>>,
    /// For `/healthz`.
    pub board: Board,
    /// For `/metrics`.
    pub metrics: Metrics,
    /// When it was.
    pub clock: Arc<dyn Clock>,
}

impl Office for Duties {
    /// Runs each at once and then after each of its intervals.
    async fn fill(&self, term: Term) {
        let _leading = self.board.leading(term);
        join_all(self.list.iter().map(|duty| self.repeat(duty.as_ref()))).await;
    }
}

impl Duties {
    async fn repeat(&self, duty: &dyn Duty) {
        loop {
            let started = Instant::now();
            let result = duty.run().await;
            let took = started.elapsed();
            self.metrics.ran(duty.name(), result.is_ok(), took);
            let did = match result {
                Ok(did) => {
                    tracing::debug!(duty = duty.name(), ?took, did, "duty done");
                    Some(did)
                }
                Err(error) => {
                    tracing::error!(duty = duty.name(), %error, "duty failed");
                    None
                }
            };
            self.board
                .note(duty.name(), duty.interval(), self.clock.now(), did);
            sleep(duty.interval()).await;
        }
    }
}
