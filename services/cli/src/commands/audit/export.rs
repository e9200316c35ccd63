//! Entries, for whoever keeps or searches them elsewhere.

use std::fmt::Write as _;

use certfleet_storage::Store;
use clap::Args;
use futures_util::TryStreamExt;

use crate::failure::Failure;
use crate::output::print;

/// Which entries.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The number of the first, from 0.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The number of the last; all that there are by now if it is not given.
    #[arg(long)]
    to: Option<u64>,
}

/// Prints them: `{"number":0,"link":"<base64>","event":{...}}` a line. The event's octets are those of the log: their
/// leaf is SHA-256(0x00, event).
pub async fn run(store: &Store, args: &ExportArgs) -> Result<(), Failure> {
    let audit = store.audit();
    let size = audit.head().await?.size();
    let end = args.to.map_or(size, |to| to.saturating_add(1)).min(size);
    let mut blocks = audit.blocks_from(args.from).await?;
    while let Some(block) = blocks.try_next().await? {
        if block.first >= end {
            break;
        }
        let mut lines = String::new();
        let entries = block.events.iter().zip(&block.links);
        for (number, (event, link)) in (block.first..).zip(entries) {
            if (args.from..end).contains(&number) {
                let link = link.to_base64();
                // Writing to a string cannot fail.
                let _ = writeln!(
                    lines,
                    "{{\"number\":{number},\"link\":\"{link}\",\"event\":{event}}}"
                );
            }
        }
        print(&lines)?;
    }
    Ok(())
}
