//! The gatherer: takes units from all sides, commits them together, tells each its own fate.

use std::sync::Arc;
use std::time::Duration;

use mongodb::Database;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::batch::{Batch, Refusal, losers};
use super::unit::Unit;
use crate::error::{CommitError, StorageError};
use crate::metrics::Metrics;
use crate::tx::run_tx;

/// The most units in one transaction.
const MOST_UNITS: usize = 64;
/// How many transactions are under way at once; what arrives meanwhile is the next batch.
const IN_FLIGHT: usize = 2;
/// How long the first unit of a batch waits for company.
const GATHER: Duration = Duration::from_millis(1);

type Fate = Result<(), CommitError>;

struct Entry {
    unit: Unit,
    reply: oneshot::Sender<Fate>,
}

/// Many callers' units, few transactions. Clones share one gatherer.
#[derive(Clone)]
pub struct GroupCommit {
    entries: mpsc::Sender<Entry>,
}

impl GroupCommit {
    /// Starts the gatherer; it ends when the last clone is dropped.
    pub(crate) fn start(database: Database, metrics: Metrics) -> Self {
        let (entries, inbox) = mpsc::channel(4 * MOST_UNITS);
        tokio::spawn(gather(inbox, Committer { database, metrics }));
        Self { entries }
    }

    /// Applies the unit, in company. When this returns `Ok`, a majority has it in its journal.
    pub async fn commit(&self, unit: Unit) -> Fate {
        let (reply, fate) = oneshot::channel();
        let lost = |()| CommitError::Storage(StorageError::ShuttingDown);
        self.entries
            .send(Entry { unit, reply })
            .await
            .map_err(|_| lost(()))?;
        fate.await.map_err(|_| lost(()))?
    }
}

async fn gather(mut inbox: mpsc::Receiver<Entry>, committer: Committer) {
    let hands = Arc::new(Semaphore::new(IN_FLIGHT));
    while let Some(first) = inbox.recv().await {
        let Ok(hand) = Arc::clone(&hands).acquire_owned().await else {
            return;
        };
        tokio::time::sleep(GATHER).await;
        let mut batch = vec![first];
        while batch.len() < MOST_UNITS
            && let Ok(entry) = inbox.try_recv()
        {
            batch.push(entry);
        }
        let committer = committer.clone();
        tokio::spawn(async move {
            committer.commit(batch).await;
            drop(hand);
        });
    }
}

#[derive(Clone)]
struct Committer {
    database: Database,
    metrics: Metrics,
}

impl Committer {
    /// Commits all that can be committed. Two units that touch the same document go into different transactions:
    /// the second is judged by what the first has left.
    async fn commit(&self, entries: Vec<Entry>) {
        let mut pending = entries;
        while !pending.is_empty() {
            let (batch, rivals) = without_rivals(pending);
            #[expect(clippy::cast_precision_loss, reason = "at most 64")]
            self.metrics.batch_units.observe(batch.len() as f64);
            let (batch, refused) = self.attempt(batch).await;
            pending = if refused || !rivals.is_empty() {
                let undecided = batch.into_iter().chain(rivals).collect();
                self.weed(undecided).await
            } else {
                Vec::new()
            };
        }
    }

    /// One transaction over `entries`. Gives back those that are undecided, and whether the server refused.
    async fn attempt(&self, entries: Vec<Entry>) -> (Vec<Entry>, bool) {
        let units: Vec<Unit> = entries.iter().map(|entry| entry.unit.clone()).collect();
        let mut body = Batch {
            database: &self.database,
            units: &units,
        };
        match run_tx(
            self.database.client(),
            &self.metrics,
            "group-commit",
            &mut body,
        )
        .await
        {
            Ok(Ok(())) => {
                tell_all(entries, || Ok(()));
                (Vec::new(), false)
            }
            Ok(Err(Refusal::Duplicate { collection, key })) if entries.len() == 1 => {
                tell_all(entries, || {
                    let key = key.clone();
                    Err(CommitError::Duplicate { collection, key })
                });
                (Vec::new(), false)
            }
            Ok(Err(Refusal::Duplicate { .. })) => {
                // A unique index other than the id's: only trying each alone tells whom it means.
                for entry in entries {
                    Box::pin(self.commit(vec![entry])).await;
                }
                (Vec::new(), false)
            }
            Ok(Err(Refusal::Changed)) => (entries, true),
            Err(error) => {
                tell_all(entries, shared(error));
                (Vec::new(), false)
            }
        }
    }

    /// Tells those that are too late, by the documents as they are now; gives back the others.
    async fn weed(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let units: Vec<Unit> = entries.iter().map(|entry| entry.unit.clone()).collect();
        match losers(&self.database, &units).await {
            Ok(objections) => entries
                .into_iter()
                .zip(objections)
                .filter_map(|(entry, objection)| match objection {
                    None => Some(entry),
                    Some(error) => {
                        entry.tell(Err(error));
                        None
                    }
                })
                .collect(),
            Err(error) => {
                tell_all(entries, shared(error.into()));
                Vec::new()
            }
        }
    }
}

impl Entry {
    /// The caller may have gone; its unit's fate stands all the same.
    fn tell(self, fate: Fate) {
        self.reply.send(fate).ok();
    }
}

fn tell_all(entries: Vec<Entry>, fate: impl Fn() -> Fate) {
    for entry in entries {
        entry.tell(fate());
    }
}

/// One error, told to each.
fn shared(error: StorageError) -> impl Fn() -> Fate {
    let error = Arc::new(error);
    move || Err(StorageError::Batch(Arc::clone(&error)).into())
}

/// Splits off those units that touch a document which an earlier one touches.
fn without_rivals(entries: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    let mut touched = std::collections::HashSet::new();
    entries.into_iter().partition(|entry| {
        let rows: Vec<_> = entry
            .unit
            .writes
            .iter()
            .map(|write| (write.row().collection, write.row().id_text()))
            .collect();
        let free = rows.iter().all(|row| !touched.contains(row));
        if free {
            touched.extend(rows);
        }
        free
    })
}
