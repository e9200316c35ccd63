//! Learning at once that a job came or went: one change stream per process, as a hint. Whoever waits also looks by
//! itself now and then, so that a lost hint costs time and nothing else.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::{Document, doc};
use certfleet_jobs::{JobKey, JobKind, Priority, Room};
use futures_util::TryStreamExt;
use mongodb::Database;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::BUCKETS;
use super::document::{bucket_of, party};
use crate::collections::JOBS;

/// How many new jobs are remembered until somebody claims them; beyond that they have to be looked for.
const MOST_HEARD: usize = 1024;

/// What a change stream tells of a job; projected so that little travels.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "documentKey")]
    key: EventKey,
    /// The job, where it is new.
    #[serde(rename = "fullDocument")]
    job: Option<Document>,
}

#[derive(Deserialize)]
struct EventKey {
    #[serde(rename = "_id")]
    id: String,
}

/// A new job, as the change stream told of it.
#[derive(Debug, Clone)]
pub struct HeardJob(pub(super) Document);

impl HeardJob {
    fn kind(&self) -> Option<JobKind> {
        self.0.get_str("kind").ok()?.parse().ok()
    }
}

/// What a process learns of jobs as it happens.
#[derive(Clone)]
pub struct JobFeed {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Rung whenever an event of a bucket listened to came.
    any: Notify,
    /// New jobs of these buckets, to be claimed.
    heard: Mutex<VecDeque<HeardJob>>,
    /// Whether there may be due jobs that are not among `heard`.
    look: AtomicBool,
    /// The buckets not listened to, a bit each.
    deaf_to: AtomicU64,
    /// A bell for each who listens for one job.
    by_key: Mutex<HashMap<String, Vec<Arc<Notify>>>>,
}

impl JobFeed {
    /// Tells of jobs that finish, be it well or not. For those who wait for a result.
    pub fn of_finished(database: &Database, stop: CancellationToken) -> Self {
        let states = doc! { "$in": ["done", "dead"] };
        Self::start(
            database,
            doc! { "updateDescription.updatedFields.state": states },
            doc! { "documentKey": 1 },
            stop,
        )
    }

    /// Tells of jobs that become due. For those who claim.
    pub fn of_queued(database: &Database, stop: CancellationToken) -> Self {
        let queued = doc! { "updateDescription.updatedFields.state": "queued" };
        Self::start(
            database,
            doc! { "$or": [{ "operationType": "insert" }, queued] },
            // What a lease is made of.
            doc! { "documentKey": 1, "fullDocument": {
                "_id": 1, "kind": 1, "job": 1, "fence": 1, "attempt": 1, "party": 1, "trace": 1,
            } },
            stop,
        )
    }

    fn start(
        database: &Database,
        matching: Document,
        projection: Document,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let feed = Self {
            shared: Arc::clone(&shared),
        };
        let database = database.clone();
        tokio::spawn(async move {
            let listen = listen(database, matching, projection, shared);
            stop.run_until_cancelled(listen).await;
        });
        feed
    }

    /// From here on [`Self::changed`] tells of jobs of these buckets only.
    pub fn listen_to(&self, buckets: &[i32]) {
        let heard = buckets.iter().fold(0, |heard, bucket| heard | bit(*bucket));
        self.shared.deaf_to.store(!heard, Ordering::Relaxed);
    }

    /// Waits until a job of the kind this feed tells of came, or the time is over.
    pub async fn changed(&self, within: Duration) {
        tokio::time::timeout(within, self.shared.any.notified())
            .await
            .ok();
    }

    /// New jobs of the buckets listened to, the most urgent first and then the oldest, each told once: as many as there is
    /// room for; the others are told later. Those of kinds that this build does not know are left out.
    pub fn heard(&self, rooms: &mut [Room]) -> Vec<HeardJob> {
        let mut told = Vec::new();
        let mut heard = self.shared.heard();
        for priority in Priority::ALL {
            heard.retain(|job| {
                let Some(kind) = job.kind() else { return false };
                if kind.priority() != priority {
                    return true;
                }
                let room = rooms.iter_mut().find(|room| room.lane() == kind.lane());
                let admitted = room.is_some_and(|room| room.admit(party(&job.0)));
                if admitted {
                    told.push(job.clone());
                }
                !admitted
            });
        }
        told
    }

    /// There may be due jobs that nobody told of. Nobody is woken by this.
    pub fn look_again(&self) {
        self.shared.look.store(true, Ordering::Relaxed);
    }

    /// Whether there may be due jobs besides those that were [heard](Self::heard) of, since this was last asked.
    pub fn has_to_look(&self) -> bool {
        self.shared.look.swap(false, Ordering::Relaxed)
    }

    /// Starts to listen for one job. Look at the job after this and before waiting, so that nothing slips between.
    pub fn watch(&self, key: &JobKey) -> Watching {
        let key = key.as_str().to_owned();
        let bell = Arc::new(Notify::new());
        self.shared
            .bells()
            .entry(key.clone())
            .or_default()
            .push(Arc::clone(&bell));
        Watching {
            key,
            bell,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Somebody who listens for one job.
pub struct Watching {
    key: String,
    bell: Arc<Notify>,
    shared: Arc<Shared>,
}

impl Watching {
    /// Waits for the next word of the job since the listening began or the last word was heard, or until the time is
    /// over; says whether there was one.
    pub async fn heard(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.bell.notified())
            .await
            .is_ok()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut by_key = self.shared.bells();
        if let Some(bells) = by_key.get_mut(&self.key) {
            bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            if bells.is_empty() {
                by_key.remove(&self.key);
            }
        }
    }
}

impl Shared {
    fn bells(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Notify>>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, VecDeque<HeardJob>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be anything: whoever claims has to look.
    fn look(&self) {
        self.look.store(true, Ordering::Relaxed);
        self.any.notify_one();
    }

    fn ring(&self, event: Event) {
        let key = &event.key.id;
        if self.deaf_to.load(Ordering::Relaxed) & bit(bucket_of(key)) == 0 {
            let mut heard = self.heard();
            match event.job {
                Some(job) if heard.len() < MOST_HEARD => heard.push_back(HeardJob(job)),
                _ => self.look.store(true, Ordering::Relaxed),
            }
            self.any.notify_one();
        }
        for bell in self.bells().get(key).into_iter().flatten() {
            // The word stays for one who is not waiting yet.
            bell.notify_one();
        }
    }
}

/// There are as many buckets as bits.
fn bit(bucket: i32) -> u64 {
    1 << (bucket.unsigned_abs() % BUCKETS.unsigned_abs())
}

async fn listen(database: Database, matching: Document, projection: Document, shared: Arc<Shared>) {
    loop {
        let pipeline = [
            doc! { "$match": &matching },
            doc! { "$project": &projection },
        ];
        let jobs = database.collection::<Document>(JOBS);
        let opened = jobs
            .watch()
            .pipeline(pipeline)
            .max_await_time(Duration::from_secs(1))
            .await;
        match opened {
            Ok(stream) => {
                // Whatever happened while nobody listened: look once.
                shared.look();
                let mut events = stream.with_type::<Event>();
                loop {
                    match events.try_next().await {
                        Ok(Some(event)) => shared.ring(event),
                        Ok(None) => break,
                        Err(error) => {
                            tracing::debug!(%error, "the change stream ended; it is opened anew");
                            break;
                        }
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the change stream cannot be opened; polling goes on");
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
