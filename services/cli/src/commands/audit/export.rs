//! Entries, for whoever keeps or searches them elsewhere.

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

/// Prints them, one JSON object a line: see [`certfleet_audit::Entry`].
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
        for entry in block.entries_from(args.from) {
            if entry.number < end {
                lines.push_str(&entry.to_string());
                lines.push('\n');
            }
        }
        print(&lines)?;
    }
    Ok(())
}
