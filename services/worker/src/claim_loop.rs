//! The claim loop: as many jobs as there is room for, at once when the feed tells of one, and by looking for what is
//! due behind that.

use std::time::Duration;

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{Clock, ServerId, SystemRng};
use certfleet_jobs::{Lease, Room};
use certfleet_storage::jobs::{Claimer, JobFeed};
use certfleet_storage::{StorageError, Switches};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::crew::Crew;

/// The longest that a crowd of jobs is waited for.
const LONGEST_REST: Duration = Duration::from_millis(10);
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
    /// Which kinds are paused.
    pub switches: watch::Receiver<Switches>,
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
        self.switches.mark_changed();
        while !stop.is_cancelled() {
            if self.alive.has_changed().unwrap_or(false) {
                let alive = self.alive.borrow_and_update().clone();
                self.claimer.share_with(&alive);
                self.feed.listen_to(self.claimer.buckets());
            }
            if self.switches.has_changed().unwrap_or(false) {
                let paused = self.switches.borrow_and_update().paused.clone();
                self.claimer.leave_out(&paused);
                // What was paused until now was not listened to.
                self.feed.look_again();
            }
            let began = Instant::now();
            let mut rooms = self.crew.rooms();
            let claimed = if looked_around.elapsed() >= self.poll_interval {
                looked_around = began;
                self.look_around(&mut rooms, clock).await
            } else if self.feed.has_to_look() {
                self.claim_own(&mut rooms, clock).await
            } else {
                self.claim_heard(&mut rooms, clock).await
            };
            match claimed {
                // In a crowd, the next claim gathers for as long as the last one took.
                Ok(taken) if taken > 1 => {
                    tokio::time::sleep(began.elapsed().min(LONGEST_REST)).await;
                }
                Ok(0) => {
                    let short = rooms.iter().any(Room::is_short);
                    stop.run_until_cancelled(self.called(short)).await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "claiming failed");
                    self.feed.look_again();
                    stop.run_until_cancelled(tokio::time::sleep(AFTER_FAILURE))
                        .await;
                }
            }
        }
    }

    /// Waits until there may be something to claim: the feed tells of a job, or it is time to look; or, where room was
    /// short, there is more of it.
    async fn called(&self, short: bool) {
        tokio::select! {
            () = self.feed.changed(self.poll_interval) => {}
            () = self.crew.freed(), if short => self.feed.look_again(),
        }
    }

    /// What the feed told of, as far as there is room. Gives how many jobs were taken in hand, as all of these do.
    async fn claim_heard(
        &self,
        rooms: &mut [Room],
        clock: &dyn Clock,
    ) -> Result<usize, StorageError> {
        let heard = self.feed.heard(rooms);
        let mut rng = SystemRng;
        let claimed = self.claimer.claim_heard(&heard, clock, &mut rng).await?;
        Ok(self.take(claimed))
    }

    /// What is due in our own buckets.
    async fn claim_own(
        &self,
        rooms: &mut [Room],
        clock: &dyn Clock,
    ) -> Result<usize, StorageError> {
        let mut taken = 0;
        for room in rooms {
            let claimed = self.claimer.claim(room, clock, &mut SystemRng).await?;
            taken += self.take(claimed);
        }
        Ok(taken)
    }

    /// Our own buckets first, then what others have left lying, then what replicas of a former build have enqueued.
    async fn look_around(
        &self,
        rooms: &mut [Room],
        clock: &dyn Clock,
    ) -> Result<usize, StorageError> {
        // In hand before anything else is asked for: that may take its time, or fail.
        let mut taken = self.claim_own(rooms, clock).await?;
        for room in rooms {
            let left = self.claimer.steal(room, clock, &mut SystemRng).await?;
            taken += self.take(left);
            let former = self
                .claimer
                .claim_unqueued(room, clock, &mut SystemRng)
                .await?;
            taken += self.take(former);
        }
        Ok(taken)
    }

    fn take(&self, leases: Vec<Lease>) -> usize {
        let taken = leases.len();
        for lease in leases {
            self.crew.take(lease);
        }
        taken
    }
}

/// Puts off the end of the leases of all jobs in hand, three times within a lease.
pub async fn renew_leases(claimer: Claimer, crew: Crew) {
    let every = claimer.lease_time() / 3;
    loop {
        tokio::time::sleep(every).await;
        let held = crew.held();
        if !held.is_empty() {
            reach(CrashPoint::LeasesDue);
        }
        let renewed = claimer.renew(&held).await;
        if !held.is_empty() {
            reach(CrashPoint::LeasesRenewed);
        }
        match renewed {
            Ok(lost) => crew.discard(&lost),
            Err(error) => tracing::warn!(%error, "leases are not renewed"),
        }
    }
}
