//! Takes units from all sides, commits them together, tells each its own fate.

use std::sync::{Arc, OnceLock};

use certfleet_crash_points::{CrashPoint, reach};
use mongodb::Database;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use super::batch::{Batch, Refusal, losers, settle};
use super::gather::{Gathered, gather};
use super::spending::{only_spends, spend_each};
use super::unit::Unit;
use crate::error::{CommitError, StorageError};
use crate::metrics::Metrics;
use crate::tx::run_tx;

/// A batch weighs what it writes: the commands of a transaction have to fit into 16 MiB.
const MOST_WRITES: usize = 256;
/// How often a batch is tried anew because some document was not as its guard says.
const ROUNDS: usize = 16;

/// The name of its transactions.
const TRANSACTION: &str = "group-commit";

type Fate = Result<(), CommitError>;

struct Entry {
    unit: Unit,
    reply: oneshot::Sender<Fate>,
}

impl Gathered for Entry {
    fn weight(&self) -> usize {
        self.unit.writes.len().max(1)
    }
}

/// Who is told of every act that was put on record here.
pub trait Witness: Send + Sync {
    /// These acts are on record: a majority has them. Each is an event's line; called from many tasks.
    fn recorded(&self, events: &[String]);
}

/// Many callers' units, few transactions. Clones share one gatherer.
#[derive(Clone)]
pub struct GroupCommit {
    entries: mpsc::Sender<Entry>,
    witness: Arc<OnceLock<Arc<dyn Witness>>>,
}

impl GroupCommit {
    /// Starts the gatherer; it ends when the last clone is dropped.
    pub(crate) fn start(database: Database, metrics: Metrics) -> Self {
        let committer = Committer { database, metrics };
        let entries = gather(MOST_WRITES, move |entries| {
            let committer = committer.clone();
            async move { committer.commit(entries).await }
        });
        Self {
            entries,
            witness: Arc::default(),
        }
    }

    /// Has somebody told of every act that is put on record from now on. The first one stays.
    pub(crate) fn witnessed_by(&self, witness: Arc<dyn Witness>) {
        let _ = self.witness.set(witness);
    }

    /// Applies the unit, in company. When this returns `Ok`, a majority has it in its journal.
    pub async fn commit(&self, unit: Unit) -> Fate {
        // In the caller's trace: the transaction itself is of many callers.
        let span = certfleet_trace::step(TRANSACTION);
        self.applied(unit).instrument(span).await
    }

    async fn applied(&self, unit: Unit) -> Fate {
        let witness = self.witness.get().filter(|_| !unit.events.is_empty());
        let told = witness.map(|witness| (witness, unit.events.clone()));
        let (reply, fate) = oneshot::channel();
        let lost = |()| CommitError::Storage(StorageError::ShuttingDown);
        self.entries
            .send(Entry { unit, reply })
            .await
            .map_err(|_| lost(()))?;
        let fate = fate.await.map_err(|_| lost(()))?;
        if let (Ok(()), Some((witness, events))) = (&fate, told) {
            witness.recorded(&events);
        }
        fate
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
        reach(CrashPoint::BatchGathered);
        let mut pending = entries;
        let mut suspects = Vec::new();
        let mut round = 0;
        while !pending.is_empty() {
            let (mut batch, rivals) = without_rivals(pending);
            if units(&batch).all(only_spends) {
                self.spend(batch).await;
                pending = self.weed(rivals).await;
                continue;
            }
            let alone = batch.len() == 1;
            match self.attempt(&batch).await {
                Ok(Ok(())) => {
                    tell_all(batch, || Ok(()));
                    pending = self.weed(rivals).await;
                }
                Ok(Err(Refusal::Changed)) => {
                    batch.extend(rivals);
                    pending = self.weed(batch).await;
                    round += 1;
                    if round == ROUNDS {
                        give_up(std::mem::take(&mut pending));
                    }
                }
                Ok(Err(Refusal::Duplicate {
                    collection, key, ..
                })) if alone => {
                    match settle(&self.database, collection).await {
                        Ok(()) => tell_all(batch, || {
                            let key = key.clone();
                            Err(CommitError::Duplicate { collection, key })
                        }),
                        Err(error) => tell_all(batch, shared(error.into())),
                    }
                    pending = self.weed(rivals).await;
                }
                Ok(Err(Refusal::Duplicate { unit, .. })) => {
                    // What it collides with may be in this very batch, which is not committed. So the others first.
                    suspects.push(batch.remove(unit));
                    batch.extend(rivals);
                    // There may be more of its kind, as when somebody plays many old requests: one look for all.
                    pending = self.weed(batch).await;
                }
                Err(error) => {
                    batch.extend(rivals);
                    tell_all(batch, shared(error));
                    pending = Vec::new();
                }
            }
        }
        for suspect in suspects {
            Box::pin(self.commit(vec![suspect])).await;
        }
    }

    /// One insert command over `entries`, each of which spends a nonce.
    async fn spend(&self, entries: Vec<Entry>) {
        self.observe(&entries);
        match spend_each(&self.database, units(&entries)).await {
            Ok(spent) => {
                for (entry, spent) in entries.into_iter().zip(spent) {
                    let fate = if spent {
                        Ok(())
                    } else {
                        Err(CommitError::spent_nonce())
                    };
                    entry.tell(fate);
                }
            }
            Err(error) => tell_all(entries, shared(error)),
        }
    }

    /// One transaction over `entries`.
    async fn attempt(&self, entries: &[Entry]) -> Result<Result<(), Refusal>, StorageError> {
        self.observe(entries);
        let mut body = Batch::new(&self.database, units(entries))?;
        run_tx(
            self.database.client(),
            &self.metrics,
            TRANSACTION,
            &mut body,
        )
        .await
    }

    fn observe(&self, entries: &[Entry]) {
        #[expect(clippy::cast_precision_loss, reason = "at most 256")]
        self.metrics.batch_units.observe(entries.len() as f64);
    }

    /// Tells those that are too late, by the documents as they are now; gives back the others.
    async fn weed(&self, entries: Vec<Entry>) -> Vec<Entry> {
        if entries.is_empty() {
            return entries;
        }
        let units: Vec<&Unit> = entries.iter().map(|entry| &entry.unit).collect();
        match losers(&self.database, &units).await {
            Ok(objections) => entries
                .into_iter()
                .zip(objections)
                .filter_map(|(entry, objection)| match objection {
                    None => Some(entry),
                    Some(error) => {
                        // Counted here: who has lost the lease may not wait for this any more.
                        if error.is_lost_lease() {
                            self.metrics.stale_writes.inc();
                        }
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

fn units(entries: &[Entry]) -> impl Iterator<Item = &Unit> {
    entries.iter().map(|entry| &entry.unit)
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

/// Lets those go that were refused in round after round though each time they looked as if they could be applied.
/// To their callers it is as if another was faster: they read again and decide anew.
fn give_up(entries: Vec<Entry>) {
    for entry in entries {
        if let Some(write) = entry.unit.writes.first() {
            let error = write.row().changed();
            entry.tell(Err(error));
        }
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
