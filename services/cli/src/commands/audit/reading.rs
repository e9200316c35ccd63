//! Reading the log from one end to the other, with a bar on a terminal.

use certfleet_audit::{Checkpoint, CheckpointKey, Head, Tampering, Verifier};
use certfleet_storage::{Block, StorageError, Store};
use futures_util::TryStreamExt;

use crate::failure::Failure;
use crate::output::progress;

/// What the database holds of the log, besides its entries.
pub struct Held {
    /// Where it ends.
    pub head: Head,
    /// What was signed after the start, each with a good signature.
    pub signed: Vec<Checkpoint>,
}

impl Held {
    /// Reads it. A checkpoint that the key has not signed is a forgery.
    pub async fn read(store: &Store, key: &CheckpointKey, start: u64) -> Result<Self, Failure> {
        let audit = store.audit();
        // In this order: what is signed is never longer than the head that is read after it.
        let checkpoints = audit.checkpoints_after(start).await?;
        let head = audit.head().await?;
        let mut signed = Vec::with_capacity(checkpoints.len());
        for checkpoint in checkpoints {
            let size = checkpoint.head.size();
            let opened = Checkpoint::open(&checkpoint.note, key).map_err(|error| {
                Failure::Tampered(format!("the checkpoint of {size} entries: {error}"))
            })?;
            if opened != Checkpoint::of(key.origin(), &checkpoint.head) {
                return Err(Failure::Tampered(format!(
                    "the checkpoint of {size} entries: what is kept with it is not what was signed"
                )));
            }
            signed.push(opened);
        }
        Ok(Self { head, signed })
    }
}

/// Reads the entries from `start` to the end that the database holds, checks each, and shows each block to `look`.
pub async fn read_all(
    store: &Store,
    start: Head,
    signed: Vec<Checkpoint>,
    held: &Head,
    mut look: impl FnMut(&Block),
) -> Result<Head, Failure> {
    let begin = start.size();
    let mut verifier = Verifier::new(start, signed);
    let bar = progress(held.size().saturating_sub(begin), "entries");
    let mut blocks = store.audit().blocks_from(begin).await?;
    while let Some(block) = blocks.try_next().await.map_err(unreadable)? {
        let events = block.events.len();
        // The one before the start, if there is nothing after it.
        if block.first + u64::try_from(events).unwrap_or(u64::MAX) <= begin {
            continue;
        }
        if verifier.size() >= held.size() {
            // It was numbered since the head was read, or it was put there.
            if store.audit().head().await?.size() <= block.first {
                let number = block.first;
                return Err(tampered(Tampering::Beyond { number }));
            }
            break;
        }
        let entries = block.events.iter().map(String::as_bytes);
        verifier
            .take(block.first, entries, &block.links)
            .map_err(tampered)?;
        look(&block);
        bar.inc(u64::try_from(events).unwrap_or(0));
    }
    bar.finish_and_clear();
    verifier.end(held).map_err(tampered)
}

/// A block that nothing of ours can have written.
fn unreadable(error: StorageError) -> Failure {
    match error {
        StorageError::Corrupt(corrupt) => Failure::Tampered(corrupt.to_string()),
        other => other.into(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn tampered(found: Tampering) -> Failure {
    Failure::Tampered(found.to_string())
}
