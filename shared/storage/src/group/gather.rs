//! Gathering: what arrives while earlier batches are under way is the next batch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

/// How a gatherer gathers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathering {
    /// The most that one batch may weigh, unless a single entry weighs more.
    pub(super) most: usize,
    /// How many batches are under way at once.
    pub(super) in_flight: usize,
    /// How long the first entry of a batch waits for company while another batch is under way. Where none is, it does
    /// not wait: what comes next finds it under way, and gathers.
    pub(super) wait: Duration,
}

/// What can be gathered.
pub(super) trait Gathered: Send + 'static {
    /// What it weighs, 1 or more.
    fn weight(&self) -> usize {
        1
    }
}

/// Starts a gatherer that hands batches to `work`; it ends when the last sender is dropped.
pub(super) fn gather<E, W, F>(gathering: Gathering, work: W) -> mpsc::Sender<E>
where
    E: Gathered,
    W: Fn(Vec<E>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (entries, mut inbox) = mpsc::channel::<E>(4 * gathering.most.min(128));
    tokio::spawn(async move {
        let hands = Arc::new(Semaphore::new(gathering.in_flight));
        while let Some(first) = inbox.recv().await {
            let Ok(hand) = Arc::clone(&hands).acquire_owned().await else {
                return;
            };
            let others_under_way = hands.available_permits() + 1 < gathering.in_flight;
            if others_under_way && !gathering.wait.is_zero() {
                tokio::time::sleep(gathering.wait).await;
            }
            let mut weight = first.weight();
            let mut batch = vec![first];
            while weight < gathering.most
                && let Ok(entry) = inbox.try_recv()
            {
                weight += entry.weight();
                batch.push(entry);
            }
            let done = work(batch);
            tokio::spawn(async move {
                done.await;
                drop(hand);
            });
        }
    });
    entries
}
