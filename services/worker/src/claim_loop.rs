//! The claim loop: as many jobs as there are free hands, at once when one is enqueued, and by polling behind that.

use std::time::Duration;

use certfleet_domain::{Clock, ServerId, SystemRng};
use certfleet_storage::StorageError;
use certfleet_storage::jobs::{Claimer, JobFeed};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::crew::Crew;

/// How long to wait after the database failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What the loop works with.
pub struct ClaimLoop {
    /// This process's way of claiming.
    pub claimer: Claimer,
    /// What is heard of jobs that become due.
    pub feed: JobFeed,
    /// Who is alive.
    pub alive: watch::Receiver<Vec<ServerId>>,
    /// The hands.
    pub crew: Crew,
    /// How often to look when nothing is heard.
    pub poll_interval: Duration,
}

impl ClaimLoop {
    /// Claims until told to stop. A claim that is under way is finished: its jobs are in hand when this returns.
    pub async fn run(mut self, clock: &dyn Clock, stop: CancellationToken) {
        let mut looked_around = Instant::now();
        self.alive.mark_changed();
        while !stop.is_cancelled() {
            let Some(hands) = stop.run_until_cancelled(self.crew.free_hands()).await else {
                return;
            };
            if self.alive.has_changed().unwrap_or(false) {
                let alive = self.alive.borrow_and_update().clone();
                self.claimer.share_with(&alive);
                self.feed.listen_to(self.claimer.buckets());
            }
            let look_around = looked_around.elapsed() >= self.poll_interval;
            if look_around {
                looked_around = Instant::now();
            }
            match self.claim(hands, look_around, clock).await {
                Ok(0) => {
                    stop.run_until_cancelled(self.feed.changed(self.poll_interval))
                        .await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "claiming failed");
                    stop.run_until_cancelled(tokio::time::sleep(AFTER_FAILURE))
                        .await;
                }
            }
        }
    }

    /// Our own buckets first; now and then also what others have left lying. Gives how many jobs were taken in hand.
    async fn claim(
        &self,
        hands: usize,
        look_around: bool,
        clock: &dyn Clock,
    ) -> Result<usize, StorageError> {
        let own = self.claimer.claim(hands, clock, &mut SystemRng).await?;
        let mut taken = own.len();
        // In hand before anything else is asked for: that may take its time, or fail.
        for lease in own {
            self.crew.take(lease);
        }
        if look_around && taken < hands {
            let others = self
                .claimer
                .steal(hands - taken, clock, &mut SystemRng)
                .await?;
            taken += others.len();
            for lease in others {
                self.crew.take(lease);
            }
        }
        Ok(taken)
    }
}

/// Puts off the end of the leases of all jobs in hand, three times within a lease.
pub async fn renew_leases(claimer: Claimer, crew: Crew) {
    let every = claimer.lease_time() / 3;
    loop {
        tokio::time::sleep(every).await;
        let held = crew.held();
        match claimer.renew(&held).await {
            Ok(lost) => crew.discard(&lost),
            Err(error) => tracing::warn!(%error, "leases are not renewed"),
        }
    }
}
