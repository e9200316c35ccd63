//! `certfleet kek`: which key encryption key seals, and what is under which (SEC-3).

mod rotate;
mod status;

use std::path::PathBuf;

use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Look at the key encryption keys, and have another one seal.
#[derive(Debug, Subcommand)]
pub enum KekCommand {
    /// Show which KEK seals, how many secrets are under each, and which processes hold it.
    Status,
    /// Have another KEK seal, and all secrets sealed anew under it. What was begun goes on without this command, and it can
    /// be given again to watch.
    Rotate(rotate::RotateArgs),
}

/// Carries out a `kek` command.
pub async fn run(command: KekCommand, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        KekCommand::Status => status::run(&store, out).await,
        KekCommand::Rotate(args) => rotate::run(&store, &args, out).await,
    }
}
