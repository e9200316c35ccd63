//! Reading the log from one end to the other, with a bar on a terminal.

use certfleet_audit::{Act, Checkpoint, CheckpointKey, Head, Tampering, Verifier};
use certfleet_storage::{Block, StorageError, Store};
use futures_util::TryStreamExt;
use serde::Deserialize;

use crate::failure::Failure;
use crate::output::progress;

/// Where a reading begins.
#[derive(Debug, Clone)]
pub struct Begin {
    /// What is before it.
    pub head: Head,
    /// Whether entries before it were let go, which has to be on record.
    trimmed: bool,
}

impl Begin {
    /// Where the log begins: with its first entry, or behind those that were let go. For those a signed checkpoint vouches.
    pub async fn of_log(store: &Store, key: &CheckpointKey) -> Result<Self, Failure> {
        let head = store.audit().start().await.map_err(unreadable)?;
        let size = head.size();
        if size > 0 {
            let kept = store.audit().checkpoint(size).await?;
            let gone = format!(
                "the log begins with entry {size}, and no checkpoint vouches for what was before it"
            );
            let kept = kept.ok_or_else(|| Failure::Tampered(gone.clone()))?;
            let opened = Checkpoint::open(&kept.note, key)
                .map_err(|error| Failure::Tampered(format!("{gone}: {error}")))?;
            if opened != Checkpoint::of(key.origin(), &head) {
                return Err(Failure::Tampered(gone));
            }
        }
        Ok(Self {
            trimmed: size > 0,
            head,
        })
    }

    /// Behind what a checkpoint that was kept elsewhere vouches for.
    pub fn after(head: Head) -> Self {
        Self {
            head,
            trimmed: false,
        }
    }

    /// Whether this event says that what is before was let go.
    fn is_told_by(&self, event: &str) -> bool {
        #[derive(Deserialize)]
        struct Glance<'a> {
            act: &'a str,
            target: &'a str,
        }
        // Most are of other acts.
        let name = Act::TrimAudit.name();
        event.contains(name)
            && serde_json::from_str::<Glance<'_>>(event).is_ok_and(|glance| {
                glance.act == name && glance.target == format!("audit/{}", self.head.size())
            })
    }
}

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
    start: &Begin,
    signed: Vec<Checkpoint>,
    held: &Head,
    mut look: impl FnMut(&Block),
) -> Result<Head, Failure> {
    let begin = start.head.size();
    let mut told = !start.trimmed;
    let mut verifier = Verifier::new(start.head.clone(), signed);
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
        told = told || block.events.iter().any(|event| start.is_told_by(event));
        look(&block);
        bar.inc(u64::try_from(events).unwrap_or(0));
    }
    bar.finish_and_clear();
    let end = verifier.end(held).map_err(tampered)?;
    if !told {
        let waiting = store.audit().waiting_events().await?;
        told = waiting.iter().any(|event| start.is_told_by(event));
    }
    if !told {
        return Err(Failure::Tampered(format!(
            "the log begins with entry {begin}, and it is not on record that those before it were let go"
        )));
    }
    Ok(end)
}

/// Something that nothing of ours can have written.
pub fn unreadable(error: StorageError) -> Failure {
    match error {
        StorageError::Corrupt(corrupt) => Failure::Tampered(corrupt.to_string()),
        other => other.into(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn tampered(found: Tampering) -> Failure {
    Failure::Tampered(found.to_string())
}
