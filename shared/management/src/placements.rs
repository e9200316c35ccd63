//! Where managed certificates go.

use certfleet_audit::Act;
use certfleet_domain::{
    Clock as _, Identifier, Managed, Placement, PlacementId, SystemClock, SystemRng, Target,
    TargetName,
};
use certfleet_storage::{Store, Unit};

use crate::certificates::one_of_its_names;
use crate::plan::Plan;
use crate::refused::Refused;

const TAKEN: &str = "it is delivered there already, or another certificate has its place: it can be delivered once more, or be called by another of its names there";

/// The targets of these names, of this certificate's project.
pub(crate) async fn targets_for(
    store: &Store,
    managed: &Managed,
    names: &[TargetName],
) -> Result<Vec<Target>, Refused> {
    let mut targets = Vec::new();
    for name in names {
        let found = store.deliveries.target(name).await?;
        let own = found.filter(|target| target.project == managed.project);
        targets.push(own.ok_or_else(|| Refused::not_found("target", name))?);
    }
    Ok(targets)
}

/// A plan with placements at these targets, by which it is called by this name.
pub(crate) fn placing<T>(
    mut plan: Plan<T>,
    store: &Store,
    managed: &Managed,
    (targets, called): (&[Target], &Identifier),
) -> Result<Plan<T>, Refused> {
    let now = SystemClock.now();
    for target in targets {
        let id = PlacementId::generate(&SystemClock, &mut SystemRng);
        let mut placement = Placement::new(id, managed.id, target, called.clone(), now);
        if let Some(current) = &managed.current {
            placement = placement.want(current.version, now);
        }
        plan = plan
            .and(store.deliveries.insert_placement(&placement)?)
            .recording(Act::CreatePlacement, format_args!("placement/{id}"))
            .with_detail(format_args!("managed/{} to {}", managed.id, target.name))
            .if_taken(TAKEN);
    }
    Ok(plan)
}

/// A certificate goes to these targets as well from now on, called by one of its names there: without one, the first.
pub async fn deliver(
    store: &Store,
    managed: Managed,
    targets: &[TargetName],
    called: Option<&Identifier>,
) -> Result<Plan<Managed>, Refused> {
    let targets = targets_for(store, &managed, targets).await?;
    let called = one_of_its_names(&managed, called)?;
    // Written as it is: a renewal that ends meanwhile finds the placements, or these find its certificate.
    let unit = store.fleet.update(&managed)?;
    let plan = Plan::new(managed.clone(), unit);
    placing(plan, store, &managed, (&targets, &called))
}

/// A certificate is delivered once more to wherever it goes.
pub async fn again(store: &Store, managed: Managed) -> Result<Plan<Managed>, Refused> {
    let placements = store.deliveries.placements_of(managed.id).await?;
    if placements.is_empty() {
        let why = "it is delivered nowhere: a target is due";
        return Err(Refused::Conflict(why.to_owned()));
    }
    let now = SystemClock.now();
    let mut unit = Unit::default();
    for placement in placements {
        unit = unit.and(store.deliveries.update_placement(&placement.again(now))?);
    }
    Ok(Plan::new(managed, unit))
}
