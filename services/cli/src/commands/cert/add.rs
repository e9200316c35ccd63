//! A managed certificate is added.

use std::collections::BTreeSet;

use certfleet_audit::Act;
use certfleet_domain::{
    Clock as _, Identifier, MAX_IDENTIFIERS, Managed, ManagedId, Solver, SystemClock, SystemRng,
    TargetName, UpstreamName,
};
use certfleet_jobs::Job;
use certfleet_storage::{CommitError, Store};
use clap::Args;

use super::place::{find_targets, place, taken};
use super::view::ManagedView;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, joined};

/// Which names, and from whom.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The names: DNS names, IP addresses, and wildcards in zones that the fleet may change (`certfleet solver`).
    #[arg(value_name = "NAME", required = true)]
    names: Vec<Identifier>,
    /// From whom, in order of preference: the next is asked when the certificate would expire first. May be given several
    /// times.
    #[arg(long = "upstream", value_name = "NAME", required = true)]
    upstreams: Vec<UpstreamName>,
    /// Where to deliver it, each time that it is renewed, called by the first of the names; may be given several times.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<TargetName>,
}

/// Adds it.
pub async fn run(store: &Store, args: &AddArgs, out: Output) -> Result<(), Failure> {
    let names: BTreeSet<Identifier> = args.names.iter().cloned().collect();
    if names.len() > MAX_IDENTIFIERS {
        let why = format!(
            "{} names are more than the {MAX_IDENTIFIERS} that a certificate can have; nothing was done",
            names.len()
        );
        return Err(Failure::Invalid(why));
    }
    let solvers = store.solvers.all().await?;
    let is_lost = |name: &&Identifier| {
        matches!(name, Identifier::Wildcard(_)) && Solver::of(&solvers, name).is_none()
    };
    if let Some(wildcard) = names.iter().find(is_lost) {
        let why = format!(
            "{wildcard} cannot be proven by http-01, and is in no zone that the fleet may change: `certfleet solver add`; nothing was done"
        );
        return Err(Failure::Invalid(why));
    }
    for name in &args.upstreams {
        if store.fleet.upstream(name).await?.is_none() {
            return Err(Failure::not_found("authority in the fleet called", name));
        }
    }
    let targets = find_targets(store, &args.targets).await?;
    let called = args.names.first().cloned();
    let called = called.ok_or_else(|| Failure::Invalid("a name is due".to_owned()))?;
    let now = SystemClock.now();
    let id = ManagedId::generate(&SystemClock, &mut SystemRng);
    let names = names.into_iter().collect();
    // The job is enqueued beside it.
    let managed = Managed::new(id, names, args.upstreams.clone(), now).looked_after(now);
    let event = Operator::here()
        .event(Act::CreateManaged, format_args!("managed/{}", managed.id))
        .with_detail(joined(&managed.names));
    let job = Job::RenewManaged {
        managed: managed.id,
        round: managed.round,
    };
    let unit = store
        .fleet
        .insert(&managed)?
        .and(store.jobs.enqueue(&job)?)
        .and(place(store, &managed, &targets, &called)?);
    store
        .commit(unit.recording(&event)?)
        .await
        .map_err(|error| match error {
            CommitError::Storage(error) => error.into(),
            CommitError::Duplicate { .. } => taken(),
            CommitError::Changed { .. } => Failure::new(error.to_string()),
        })?;
    let view = ManagedView::of(&managed);
    out.show(&view, |sheet| {
        sheet.line(format_args!(
            "a worker gets it: certfleet cert show {}",
            view.id
        ));
    })
}
