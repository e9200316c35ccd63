//! Places where certificates should be served.

use certfleet_audit::Act;
use certfleet_domain::{
    Clock as _, Endpoint, Identifier, Managed, SystemClock, SystemRng, Watch, WatchId, WatchPolicy,
};
use certfleet_storage::Store;

use crate::certificates::one_of_its_names;
use crate::plan::Plan;
use crate::refused::Refused;

/// A place that is to be looked at.
pub struct NewWatch {
    /// Where it should be served, as workers reach it.
    pub endpoint: Endpoint,
    /// Which of its names to ask for there; without it, its first one.
    pub name: Option<Identifier>,
    /// What is done when something else is served.
    pub policy: WatchPolicy,
}

/// A new watch of a certificate, by one of its names: without one, the first.
pub(crate) fn new(
    managed: &Managed,
    endpoint: Endpoint,
    name: Option<&Identifier>,
    policy: WatchPolicy,
) -> Result<Watch, Refused> {
    let name = one_of_its_names(managed, name)?;
    let id = WatchId::generate(&SystemClock, &mut SystemRng);
    let served = (endpoint, name);
    Ok(Watch::new(
        id,
        managed.id,
        served,
        policy,
        SystemClock.now(),
    ))
}

/// A certificate is looked at there from now on.
pub fn add(store: &Store, managed: &Managed, wish: NewWatch) -> Result<Plan<Watch>, Refused> {
    let watch = new(managed, wish.endpoint, wish.name.as_ref(), wish.policy)?;
    let detail = watch.endpoint.to_string();
    // Written as it is: one that is removed at this moment is not watched.
    let unit = store
        .watches
        .insert(&watch)?
        .and(store.fleet.update(managed)?);
    Ok(Plan::new(watch, unit)
        .recording(Act::CreateWatch, format_args!("managed/{}", managed.id))
        .with_detail(detail)
        .if_taken("it is watched there already, under this name"))
}

/// A certificate is looked at there no more.
pub fn remove(store: &Store, watch: Watch) -> Plan<Watch> {
    let unit = store.watches.remove(&watch);
    let (target, detail) = (
        format!("managed/{}", watch.managed),
        watch.endpoint.to_string(),
    );
    Plan::new(watch, unit)
        .recording(Act::RemoveWatch, target)
        .with_detail(detail)
}
