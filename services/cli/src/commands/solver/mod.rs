//! `certfleet solver`: zones that the fleet may change, to prove names in them by dns-01 (FLT-8).

mod add;
mod list;

use std::path::PathBuf;

use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Say which zones the fleet may change, to prove names in them by dns-01.
#[derive(Debug, Subcommand)]
pub enum SolverCommand {
    /// Add a zone. A record is published there and removed first, so that what is wrong is told now.
    Add(Box<add::AddArgs>),
    /// List the zones.
    List,
}

/// Carries out a `solver` command.
pub async fn run(
    command: SolverCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        SolverCommand::Add(args) => add::run(&args, config, out).await,
        SolverCommand::List => list::run(&open(config).await?, out).await,
    }
}
