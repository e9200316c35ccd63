//! `certfleet backup`: all of the database in one file, and back (DR-1).

mod check;
mod create;
mod keep;
mod restore;

use std::path::PathBuf;

use certfleet_backup::Manifest;
pub use check::whole;
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::{Output, Sheet, joined, moment};

/// Back up the database, and restore it.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Write all of the database, as it is at one moment, into a file. Services go on meanwhile. Secrets stay sealed; the KEK
    /// is not in it.
    Create {
        /// The file, which must not be there.
        file: PathBuf,
    },
    /// Write a backup into a directory, named after the time, read it again, and remove those that are too old: for a job that
    /// runs every night.
    Keep(keep::KeepArgs),
    /// Read a backup from front to end, and say whether it is whole and what is in it.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Put a backup back into an empty database of the same name. Broken off, the same command goes on where it was.
    Restore(restore::RestoreArgs),
}

/// Carries out a `backup` command.
pub async fn run(
    command: BackupCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        BackupCommand::Create { file } => create::run(&file, config, out).await,
        BackupCommand::Keep(args) => keep::run(&args, config, out).await,
        BackupCommand::Check { file } => check::run(&file, out).await,
        BackupCommand::Restore(args) => restore::run(&args, config, out).await,
    }
}

/// What is in a backup, for people.
fn write(sheet: &mut Sheet, manifest: &Manifest) {
    sheet.pairs([
        ("database", manifest.database.clone()),
        ("begun", moment(manifest.created_at)),
        ("written by", format!("certfleet {}", manifest.version)),
        ("KEKs", joined(&manifest.keks)),
        ("audit trail", format!("{} entries", manifest.audit.entries)),
    ]);
    let rows = manifest
        .collections
        .iter()
        .filter(|contents| contents.documents > 0)
        .map(|contents| [contents.name.clone(), contents.documents.to_string()]);
    sheet.table(["collection", "documents"], rows);
}
