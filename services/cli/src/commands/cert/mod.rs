//! `certfleet cert`: what is done to certificates.

pub mod revoke;

use std::path::PathBuf;

use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Revoke certificates.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Revoke one certificate or many, by what they have in common.
    Revoke(revoke::RevokeArgs),
}

/// Carries out a `cert` command.
pub async fn run(
    command: CertCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        CertCommand::Revoke(args) => revoke::run(&store, &args, out).await,
    }
}
