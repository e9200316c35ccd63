//! A managed certificate is changed, or removed.

use certfleet_domain::{Clock as _, Identifier, ManagedId, SystemClock, UpstreamName};
use certfleet_management::views::CertificateView;
use certfleet_management::{CertificateChange, Refused, change_certificate, remove_certificate};
use certfleet_storage::Store;
use clap::Args;

use super::find;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// What is to be changed.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The managed certificate.
    id: ManagedId,
    /// The names that it is to have from now on, all of them; it is renewed for that. May be given several times.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<Identifier>,
    /// From whom it is to be had from now on, in order of preference. May be given several times.
    #[arg(long = "upstream", value_name = "NAME")]
    upstreams: Vec<UpstreamName>,
}

/// Changes it.
pub async fn run(store: &Store, args: &ChangeArgs, out: Output) -> Result<(), Failure> {
    if args.names.is_empty() && args.upstreams.is_empty() {
        let why = "--name or --upstream is due; nothing was done";
        return Err(Failure::Invalid(why.to_owned()));
    }
    let given = |all: &[UpstreamName]| Some(all.to_vec()).filter(|all| !all.is_empty());
    let changed = loop {
        let change = CertificateChange {
            names: Some(args.names.clone()).filter(|names| !names.is_empty()),
            upstreams: given(&args.upstreams),
        };
        let managed = find(store, args.id).await?;
        let plan = change_certificate(store, managed, change).await?;
        match plan.carry_out(store, Operator::here().sender()).await {
            // A worker has it in hand: once more, over what it has written.
            Err(Refused::Meanwhile) => {}
            done => break done?,
        }
    };
    let view = CertificateView::of(&changed, SystemClock.now());
    out.show(&view, |sheet| {
        super::view::write(&view, sheet);
    })
}

/// Removes it.
pub async fn remove(store: &Store, id: ManagedId, out: Output) -> Result<(), Failure> {
    let removed = loop {
        let managed = find(store, id).await?;
        let plan = remove_certificate(store, managed).await?;
        match plan.carry_out(store, Operator::here().sender()).await {
            // A worker has it in hand: once more, over what it has written.
            Err(Refused::Meanwhile) => {}
            done => break done?,
        }
    };
    let view = CertificateView::of(&removed, SystemClock.now());
    out.show(&view, |sheet| {
        sheet.line("it is kept no more, and its keys are destroyed; it was not revoked, and files that were delivered stay");
    })
}
