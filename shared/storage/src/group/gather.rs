//! Gathering: what arrives while a batch is under way is the next batch. Alone, an entry goes out at once; in a crowd,
//! batches are as large as the crowd, with no time to be tuned.

use tokio::sync::mpsc;

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
            work(batch).await;
        }
    });
    entries
}
