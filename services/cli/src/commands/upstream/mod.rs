//! `certfleet upstream`: whom the fleet has certificates from (FLT-1).

mod add;
mod list;

use std::path::PathBuf;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// Say whom the fleet has certificates from: your own authority, or any ACME directory.
#[derive(Debug, Subcommand)]
pub enum UpstreamCommand {
    /// Add an authority. A worker makes the fleet's account there when the first certificate is wanted.
    Add(Box<add::AddArgs>),
    /// List the authorities.
    List,
}

/// Carries out an `upstream` command.
pub async fn run(
    command: UpstreamCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        UpstreamCommand::Add(args) => add::run(&args, config, out).await,
        UpstreamCommand::List => list::run(config, out).await,
    }
}
