//! `certfleet target`: places that certificates of the fleet are delivered to (DEP-1).

mod add;
mod list;

use std::path::PathBuf;

use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Say where certificates are delivered to.
#[derive(Debug, Subcommand)]
pub enum TargetCommand {
    /// Add a place: files on a host, what is run there when they have changed, and where the certificate is served then.
    Add(Box<add::AddArgs>),
    /// List the places, and how many certificates are there or on their way.
    List,
}

/// Carries out a `target` command.
pub async fn run(
    command: TargetCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        TargetCommand::Add(args) => add::run(&store, &args, out).await,
        TargetCommand::List => list::run(&store, out).await,
    }
}
