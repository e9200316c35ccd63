//! Gathering: what arrives while a batch is under way is the next batch. Alone, an entry goes out at once. In a crowd,
//! the next batch gathers for three times as long as the last one took: a batch costs the database much the same however
//! large it is, so where it is slow, few large ones get everybody through sooner than many small ones.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// How long a crowd is waited for, in times of what the last batch took.
const REST: u32 = 3;
/// The longest that a crowd is waited for.
const LONGEST_REST: Duration = Duration::from_millis(60);

/// What can be gathered.
pub(super) trait Gathered: Send + 'static {
    /// What it weighs, 1 or more.
    fn weight(&self) -> usize {
        1
    }
}

/// Starts a gatherer that hands batches to `work`, one at a time, none heavier than `most` unless a single entry is.
/// It ends when the last sender is dropped.
pub(super) fn gather<E, W, F>(most: usize, work: W) -> mpsc::Sender<E>
where
    E: Gathered,
    W: Fn(Vec<E>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (entries, mut inbox) = mpsc::channel::<E>(2 * most);
    tokio::spawn(async move {
        while let Some(first) = inbox.recv().await {
            let mut weight = first.weight();
            let mut batch = vec![first];
            while weight < most
                && let Ok(entry) = inbox.try_recv()
            {
                weight += entry.weight();
                batch.push(entry);
            }
            let was_alone = batch.len() == 1;
            let began = Instant::now();
            work(batch).await;
            let crowd = !was_alone || !inbox.is_empty();
            if crowd && weight < most {
                sleep((began.elapsed() * REST).min(LONGEST_REST)).await;
            }
        }
    });
    entries
}
