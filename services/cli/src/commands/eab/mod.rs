//! `certfleet eab`: who may have an account (ACME-5, RFC 8555 §7.3.4).

mod create;
mod list;
mod require;
mod revoke;

use std::path::PathBuf;

use certfleet_domain::AuthorityName;
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// Make keys that bind accounts to somebody you know, and take them away.
#[derive(Debug, Subcommand)]
pub enum EabCommand {
    /// Make a key, and print it. It is shown this once.
    Create(create::CreateArgs),
    /// List the keys: whom each is for, how often it was used, and how often it may be yet.
    List,
    /// Take a key away, and the accounts that it has bound; if asked, their certificates as well.
    Revoke(revoke::RevokeArgs),
    /// New accounts of an authority have to be bound from now on. Those that there are stay.
    Require {
        /// The authority.
        authority: AuthorityName,
    },
    /// Anybody may have an account at an authority again.
    Waive {
        /// The authority.
        authority: AuthorityName,
    },
}

/// Carries out an `eab` command.
pub async fn run(command: EabCommand, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    match command {
        EabCommand::Create(args) => create::run(&args, config, out).await,
        EabCommand::List => list::run(config, out).await,
        EabCommand::Revoke(args) => revoke::run(&args, config, out).await,
        EabCommand::Require { authority } => require::run(&authority, true, config, out).await,
        EabCommand::Waive { authority } => require::run(&authority, false, config, out).await,
    }
}
