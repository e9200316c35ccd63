//! `certfleet dr`: the worst day, rehearsed (DR-2).

use std::path::PathBuf;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;
use crate::up::{DrillArgs, drill};

/// Rehearse the recovery from a disaster.
#[derive(Debug, Subcommand)]
pub enum DrCommand {
    /// Restore a backup into a scratch replica set on this machine, check its KEK and its audit trail, and issue a certificate
    /// from it; then throw it all away. Nothing else is touched.
    Drill(DrillArgs),
}

/// Carries out a `dr` command.
pub async fn run(command: DrCommand, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    match command {
        DrCommand::Drill(args) => drill(&args, config, out).await,
    }
}
