//! Where a managed certificate goes: to more targets, or to the same ones once more.

use certfleet_audit::Act;
use certfleet_domain::{
    Clock as _, Identifier, Managed, ManagedId, Placement, PlacementId, SystemClock, SystemRng,
    Target, TargetName,
};
use certfleet_storage::{CommitError, Store, Unit};
use clap::Args;

use super::find;
use super::show;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// What to deliver, and where.
#[derive(Debug, Args)]
pub struct DeliverArgs {
    /// The managed certificate.
    id: ManagedId,
    /// Where to, from now on and each time that it is renewed; may be given several times. Without it: once more to
    /// wherever it goes already.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<TargetName>,
    /// Which of its names it is called by there; without it, its first one.
    #[arg(long = "as", value_name = "NAME", requires = "targets")]
    called: Option<Identifier>,
}

/// Has it delivered.
pub async fn run(store: &Store, args: &DeliverArgs, out: Output) -> Result<(), Failure> {
    let targets = find_targets(store, &args.targets).await?;
    loop {
        let managed = find(store, args.id).await?;
        let unit = if targets.is_empty() {
            again(store, &managed).await?
        } else {
            let name = called(&managed, args.called.as_ref())?;
            // Written as it is: a renewal that ends meanwhile finds the placements, or these find its certificate.
            place(store, &managed, &targets, &name)?.and(store.fleet.update(&managed)?)
        };
        match store.commit(unit).await {
            Ok(()) => break,
            Err(CommitError::Storage(error)) => return Err(error.into()),
            Err(CommitError::Changed { .. }) => {}
            Err(CommitError::Duplicate { .. }) => return Err(taken()),
        }
    }
    show::run(store, args.id, out).await
}

fn called(managed: &Managed, wished: Option<&Identifier>) -> Result<Identifier, Failure> {
    match wished {
        Some(name) if managed.names.contains(name) => Ok(name.clone()),
        Some(name) => Err(Failure::Invalid(format!(
            "{name} is none of its names; nothing was done"
        ))),
        None => {
            let first = managed.names.first().cloned();
            first.ok_or_else(|| Failure::new("it has no name"))
        }
    }
}

/// What is said where two certificates would lie in the same files.
pub fn taken() -> Failure {
    Failure::new(
        "it is delivered there already, or another certificate has its place: `certfleet cert deliver ID` delivers once more, `--as NAME` has it called otherwise; nothing was done",
    )
}

/// The targets of these names.
pub async fn find_targets(store: &Store, names: &[TargetName]) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for name in names {
        let found = store.deliveries.target(name).await?;
        targets.push(found.ok_or_else(|| Failure::not_found("target", name))?);
    }
    Ok(targets)
}

/// The unit by which a certificate, called by this name of its, goes to these targets.
pub fn place(
    store: &Store,
    managed: &Managed,
    targets: &[Target],
    name: &Identifier,
) -> Result<Unit, Failure> {
    let mut unit = Unit::default();
    let now = SystemClock.now();
    for target in targets {
        let id = PlacementId::generate(&SystemClock, &mut SystemRng);
        let mut placement = Placement::new(id, managed.id, target, name.clone(), now);
        if let Some(current) = &managed.current {
            placement = placement.want(current.version, now);
        }
        let event = Operator::here()
            .event(Act::CreatePlacement, format_args!("placement/{id}"))
            .with_detail(format_args!("managed/{} to {}", managed.id, target.name));
        unit = unit
            .and(store.deliveries.insert_placement(&placement)?)
            .recording(&event)?;
    }
    Ok(unit)
}

async fn again(store: &Store, managed: &Managed) -> Result<Unit, Failure> {
    let placements = store.deliveries.placements_of(managed.id).await?;
    if placements.is_empty() {
        return Err(Failure::new(
            "it is delivered nowhere: `--target NAME` says where to; nothing was done",
        ));
    }
    let now = SystemClock.now();
    let mut unit = Unit::default();
    for placement in placements {
        let due = placement.again(now);
        unit = unit.and(store.deliveries.update_placement(&due)?);
    }
    Ok(unit)
}
