//! Learning at once that a job came or went: one change stream per process, as a hint. Whoever waits also looks by
//! itself now and then, so that a lost hint costs time and nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::{Document, doc};
use certfleet_jobs::JobKey;
use futures_util::TryStreamExt;
use mongodb::Database;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::BUCKETS;
use super::document::bucket_of;
use crate::collections::JOBS;

/// What a change stream tells of a job; projected so that little travels.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "documentKey")]
    key: EventKey,
}

#[derive(Deserialize)]
struct EventKey {
    #[serde(rename = "_id")]
    id: String,
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
            stop,
        )
    }

    /// Tells of jobs that become due. For those who claim.
    pub fn of_queued(database: &Database, stop: CancellationToken) -> Self {
        let queued = doc! { "updateDescription.updatedFields.state": "queued" };
        Self::start(
            database,
            doc! { "$or": [{ "operationType": "insert" }, queued] },
            stop,
        )
    }

    fn start(database: &Database, matching: Document, stop: CancellationToken) -> Self {
        let shared = Arc::new(Shared::default());
        let feed = Self {
            shared: Arc::clone(&shared),
        };
        let database = database.clone();
        tokio::spawn(async move {
            let listen = listen(database, matching, shared);
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

    fn ring(&self, key: &str) {
        if self.deaf_to.load(Ordering::Relaxed) & bit(bucket_of(key)) == 0 {
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

async fn listen(database: Database, matching: Document, shared: Arc<Shared>) {
    let projection = doc! { "documentKey": 1 };
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
                shared.any.notify_one();
                let mut events = stream.with_type::<Event>();
                loop {
                    match events.try_next().await {
                        Ok(Some(event)) => shared.ring(&event.key.id),
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
