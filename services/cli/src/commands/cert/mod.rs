//! `certfleet cert`: managed certificates, which are kept renewed; and revocation, of whatever this authority has signed.

mod add;
mod change;
mod export;
mod import;
mod list;
mod place;
mod renew;
pub mod revoke;
mod show;
mod view;
mod watch;

use std::path::PathBuf;

use certfleet_domain::{Managed, ManagedId, WatchId};
use certfleet_storage::Store;
use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Keep certificates renewed, look at them, take them out; revoke certificates of your own authority.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Have a certificate for these names, and keep it renewed.
    Add(add::AddArgs),
    /// List managed certificates: until when each is valid, and what is to be done next.
    List(list::ListArgs),
    /// Show all that is known of a managed certificate.
    Show {
        /// Its id.
        id: ManagedId,
    },
    /// Renew a managed certificate now, be it due or not.
    Renew {
        /// Its id.
        id: ManagedId,
    },
    /// Take over what another client has had and renewed until now: certbot, lego or acme.sh, or one chain and its key.
    Import(import::ImportArgs),
    /// Have other names in it, or have it from somebody else, from now on.
    Change(change::ChangeArgs),
    /// Keep it no more: no renewals, no deliveries, and its keys are destroyed.
    Remove {
        /// Its id.
        id: ManagedId,
    },
    /// Have it delivered to more targets, or once more to the same.
    Deliver(place::DeliverArgs),
    /// Have it looked at whether it is served somewhere.
    Watch(watch::WatchArgs),
    /// List where a managed certificate is looked at.
    Watches {
        /// Its id.
        id: ManagedId,
    },
    /// Look at a place no more.
    Unwatch {
        /// The watch's id.
        id: WatchId,
    },
    /// List where something else is served than should be, or nothing.
    Drift,
    /// Write the current chain and its key into files.
    Export(export::ExportArgs),
    /// Revoke one certificate or many, by what they have in common.
    Revoke(revoke::RevokeArgs),
}

/// Carries out a `cert` command.
pub async fn run(
    command: CertCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        CertCommand::Add(args) => add::run(&open(config).await?, args, out).await,
        CertCommand::List(args) => list::run(&open(config).await?, &args, out).await,
        CertCommand::Show { id } => show::run(&open(config).await?, id, out).await,
        CertCommand::Renew { id } => renew::run(&open(config).await?, id, out).await,
        CertCommand::Deliver(args) => place::run(&open(config).await?, &args, out).await,
        CertCommand::Watch(args) => watch::run(&open(config).await?, &args, out).await,
        CertCommand::Import(args) => import::run(args, config, out).await,
        CertCommand::Change(args) => change::run(&open(config).await?, &args, out).await,
        CertCommand::Remove { id } => change::remove(&open(config).await?, id, out).await,
        CertCommand::Watches { id } => watch::list(&open(config).await?, id, out).await,
        CertCommand::Unwatch { id } => watch::remove(&open(config).await?, id, out).await,
        CertCommand::Drift => watch::drift(&open(config).await?, out).await,
        CertCommand::Export(args) => export::run(&args, config, out).await,
        CertCommand::Revoke(args) => revoke::run(&open(config).await?, &args, out).await,
    }
}

async fn find(store: &Store, id: ManagedId) -> Result<Managed, Failure> {
    let found = store.fleet.managed(id).await?;
    found.ok_or_else(|| Failure::not_found("managed certificate", id))
}
