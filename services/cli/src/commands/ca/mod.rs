//! `certfleet ca`: certificate authorities.

mod create;
mod list;
mod root;
mod test_sign;
mod view;

use std::path::PathBuf;

use certfleet_domain::{Authority, AuthorityName};
use certfleet_storage::Store;
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// Make certificate authorities, and look at them.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make an authority, or import one. Its keys are kept sealed in the database.
    Create(create::CreateArgs),
    /// List the authorities.
    List,
    /// Print an authority's root certificate (PEM), for its clients to trust.
    Root {
        /// The authority.
        name: AuthorityName,
        /// Write it to this file instead.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Sign a throw-away certificate with each profile, to prove that the authority can. Nothing is stored.
    TestSign {
        /// The authority.
        name: AuthorityName,
    },
}

/// Carries out a `ca` command.
pub async fn run(command: CaCommand, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    match command {
        CaCommand::Create(args) => create::run(args, config, out).await,
        CaCommand::List => list::run(config, out).await,
        CaCommand::Root { name, out: file } => root::run(&name, file, config, out).await,
        CaCommand::TestSign { name } => test_sign::run(&name, config, out).await,
    }
}

async fn find(store: &Store, name: &AuthorityName) -> Result<Authority, Failure> {
    let found = store.authorities.find(name).await?;
    found.ok_or_else(|| Failure::not_found("authority", name))
}
