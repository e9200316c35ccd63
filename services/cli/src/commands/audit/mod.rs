//! `certfleet audit`: whether the audit trail is what it was, and what is in it (AUD-3).

mod export;
mod local;
mod prove;
mod reading;
mod servers;
mod trim;
mod verify;

use std::path::PathBuf;

use certfleet_storage::Store;
use clap::Subcommand;
pub use verify::{Verified, VerifyArgs, verify};

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Look at the audit trail, and find out whether it is what it was.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Read the log again, and name the first entry that was changed, moved, put in or taken out. Exit code 4 if there is
    /// one.
    Verify(VerifyArgs),
    /// Read a process's own audit file (`audit.file`), and name the first line that is wrong. Needs no database.
    VerifyFile {
        /// The file.
        file: PathBuf,
    },
    /// Print entries, one JSON object a line, the event in it to the octet as it is hashed.
    Export(export::ExportArgs),
    /// List the processes that acted: how many events each has, and when it was seen last.
    ListServers,
    /// Print the last signed checkpoint: keep it where nobody who can write to the database can.
    Checkpoint,
    /// Print the log's public key (C2SP signed-note).
    Key,
    /// Print the proof that an entry is in the log, or that the log begins as a checkpoint says.
    Prove(prove::ProveArgs),
    /// Let go entries that were kept for long enough; what is left is verified and proven as before.
    Trim(trim::TrimArgs),
}

/// Carries out an `audit` command.
pub async fn run(
    command: AuditCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = async || open(config.clone()).await;
    match command {
        AuditCommand::VerifyFile { file } => local::run(&file, out),
        AuditCommand::Verify(args) => verify::run(&store().await?, &args, out).await,
        AuditCommand::Export(args) => export::run(&store().await?, &args).await,
        AuditCommand::ListServers => servers::run(&store().await?, out).await,
        AuditCommand::Checkpoint => Output::raw(&last_checkpoint(&store().await?).await?),
        AuditCommand::Key => {
            let key = store().await?.audit().key().await?;
            Output::raw(&format!("{}\n", key.ok_or_else(nothing_signed)?))
        }
        AuditCommand::Prove(args) => prove::run(&store().await?, &args).await,
        AuditCommand::Trim(args) => trim::run(&store().await?, &args, out).await,
    }
}

async fn last_checkpoint(store: &Store) -> Result<String, Failure> {
    let last = store.audit().last_checkpoint().await?;
    Ok(last.ok_or_else(nothing_signed)?.note)
}

fn nothing_signed() -> Failure {
    Failure::NotFound(
        "nothing of the audit trail is signed yet: a worker does it within some seconds of the first act"
            .to_owned(),
    )
}
