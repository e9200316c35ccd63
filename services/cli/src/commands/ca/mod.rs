//! `certfleet ca`: certificate authorities.

mod create;
mod list;
mod replace;
mod root;
mod test_sign;
mod view;

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_domain::{Authority, AuthorityName};
use certfleet_storage::{CommitError, Store};
use clap::Subcommand;

use crate::failure::Failure;
use crate::operator::Operator;
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
    /// Ask clients to replace certificates before their time, by ARI (RFC 9773): all, or those issued before a moment.
    Replace(replace::ReplaceArgs),
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
        CaCommand::Replace(args) => replace::run(&args, config, out).await,
        CaCommand::TestSign { name } => test_sign::run(&name, config, out).await,
    }
}

async fn find(store: &Store, name: &AuthorityName) -> Result<Authority, Failure> {
    let found = store.authorities.find(name).await?;
    found.ok_or_else(|| Failure::not_found("authority", name))
}

/// Changes an authority, on record. `to` is asked anew if another was faster.
pub async fn change(
    store: &Store,
    name: &AuthorityName,
    act: Act,
    detail: &str,
    to: impl Fn(Authority) -> Authority,
) -> Result<(), Failure> {
    loop {
        let changed = to(find(store, name).await?);
        let event = Operator::here()
            .event(act, format_args!("authority/{name}"))
            .with_detail(detail);
        let unit = store.authorities.update(&changed)?.recording(&event)?;
        match store.commit(unit).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Storage(error)) => return Err(error.into()),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {}
        }
    }
}
