//! Proofs, in the forms that tools of transparency logs read.

use std::path::{Path, PathBuf};

use certfleet_audit::{Checkpoint, Hash, Leaves};
use certfleet_storage::Store;
use clap::Args;

use super::nothing_signed;
use super::reading::{Begin, Held, read_all};
use crate::failure::Failure;
use crate::output::Output;

/// What to prove.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ProveArgs {
    /// The entry of this number is in the log (C2SP tlog-proof).
    #[arg(long, value_name = "NUMBER")]
    entry: Option<u64>,
    /// The log begins as this checkpoint says (as C2SP tlog-witness takes it).
    #[arg(long, value_name = "FILE")]
    extends: Option<PathBuf>,
}

/// Prints the proof against the last signed checkpoint. Reads, and verifies, all of the log that is kept.
pub async fn run(store: &Store, args: &ProveArgs) -> Result<(), Failure> {
    let audit = store.audit();
    let key = audit.key().await?.ok_or_else(nothing_signed)?;
    let last = audit.last_checkpoint().await?.ok_or_else(nothing_signed)?;
    let start = Begin::of_log(store, &key).await?;
    let held = Held::read(store, &key, start.head.size()).await?;
    let mut leaves = Leaves::after(start.head.tree.clone());
    read_all(store, &start, held.signed, &held.head, |block| {
        for event in &block.events {
            leaves.push(Hash::leaf(event.as_bytes()));
        }
    })
    .await?;
    leaves.truncate(last.head.size());
    let text = match (args.entry, &args.extends) {
        (Some(number), _) => of_entry(&leaves, number)?,
        (None, Some(path)) => of_beginning(&leaves, path, &key)?,
        (None, None) => return Err(Failure::new("nothing was asked to be proven")),
    };
    Output::raw(&format!("{text}\n{}", last.note))
}

fn of_entry(leaves: &Leaves, number: u64) -> Result<String, Failure> {
    let proof = leaves
        .inclusion(number)
        .ok_or_else(|| Failure::not_found("signed entry", number))?;
    Ok(format!(
        "c2sp.org/tlog-proof@v1\nindex {number}\n{}",
        lines(&proof)
    ))
}

fn of_beginning(
    leaves: &Leaves,
    path: &Path,
    key: &certfleet_audit::CheckpointKey,
) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Invalid(format!("{}: {error}", path.display())))?;
    let old = Checkpoint::open(&text, key)
        .map_err(|error| Failure::Tampered(format!("{}: {error}", path.display())))?;
    let proof = leaves
        .consistency(old.size)
        .ok_or_else(|| Failure::not_found("signed log of this many entries:", old.size))?;
    Ok(format!("old {}\n{}", old.size, lines(&proof)))
}

/// Each on a line of its own; of none, nothing: an empty line ends the proof.
fn lines(hashes: &[Hash]) -> String {
    let lines = hashes.iter().map(|hash| hash.to_base64() + "\n");
    lines.collect()
}
