//! Places that are looked at for what they serve.

use std::collections::BTreeSet;
use std::net::IpAddr;

use certfleet_audit::Act;
use certfleet_domain::{
    Clock as _, Discovery, DiscoveryId, Endpoint, Managed, ProjectName, SystemClock, SystemRng,
    UpstreamName, WatchPolicy,
};
use certfleet_storage::{Store, Unit};
use ipnet::IpNet;

use crate::certificates::{NewCertificate, add as add_certificate};
use crate::plan::Plan;
use crate::projects;
use crate::refused::Refused;

/// So many places together.
const MOST: usize = 4096;

/// The places at these ports of a network, which has no more than 4,096 addresses.
pub fn sweep(network: IpNet, ports: &[u16]) -> Result<Vec<Endpoint>, Refused> {
    let bits = network.max_prefix_len() - network.prefix_len();
    if bits > 12 {
        let why = format!("{network} has more than {MOST} addresses");
        return Err(Refused::Invalid(why));
    }
    let mut endpoints = Vec::new();
    for address in network.hosts() {
        for port in ports {
            let text = match address {
                IpAddr::V4(address) => format!("{address}:{port}"),
                IpAddr::V6(address) => format!("[{address}]:{port}"),
            };
            let endpoint: Result<Endpoint, _> = text.parse();
            endpoints.push(endpoint.map_err(|error| Refused::Invalid(error.to_string()))?);
        }
    }
    Ok(endpoints)
}

/// These places are looked at from now on, daily; those that are already stay as they are. `swept`: they are of a network, and
/// where nothing answers there is nothing.
pub async fn add(
    store: &Store,
    project: ProjectName,
    endpoints: Vec<Endpoint>,
    swept: bool,
) -> Result<Plan<Vec<Discovery>>, Refused> {
    projects::require(store, &project).await?;
    if endpoints.is_empty() || endpoints.len() > MOST {
        return Err(Refused::Invalid(format!("1 to {MOST} places are due")));
    }
    let known = store.discoveries.known(&project, &endpoints).await?;
    let mut seen: BTreeSet<String> = known.into_iter().collect();
    let now = SystemClock.now();
    let mut unit = Unit::default();
    let mut added = Vec::new();
    for endpoint in endpoints {
        if seen.insert(endpoint.to_string()) {
            let id = DiscoveryId::generate(&SystemClock, &mut SystemRng);
            let one = Discovery::new(id, project.clone(), endpoint, swept, now);
            unit = unit.and(store.discoveries.insert(&one)?);
            added.push(one);
        }
    }
    let count = added.len();
    Ok(Plan::new(added, unit)
        .recording(Act::CreateDiscoveries, format_args!("project/{project}"))
        .with_detail(format_args!("{count} places"))
        .if_taken("another has added one of these at this moment: nothing was done; try again"))
}

/// What is served there is had from these authorities from now on, under the same names, and the place is watched whether it serves
/// what it should.
pub async fn adopt(
    store: &Store,
    discovery: &Discovery,
    upstreams: Vec<UpstreamName>,
) -> Result<Plan<Managed>, Refused> {
    let conflict = |why: &str| Refused::Conflict(why.to_owned());
    let served = discovery.served.as_ref();
    let served = served.ok_or_else(|| conflict("nothing was seen there yet"))?;
    // It may have been removed since it was looked for.
    let managed = match served.managed {
        Some(managed) => store.fleet.managed(managed).await?,
        None => None,
    };
    if let Some(Managed { id: managed, .. }) = managed {
        return Err(Refused::Conflict(format!(
            "it is managed already: {managed}"
        )));
    }
    if served.names.is_empty() {
        return Err(conflict("it has no name that a certificate can be had for"));
    }
    let wish = NewCertificate {
        project: discovery.project.clone(),
        names: served.names.clone(),
        upstreams,
        targets: Vec::new(),
    };
    let plan = add_certificate(store, wish).await?;
    let watch = crate::watches::new(
        &plan.made,
        discovery.endpoint.clone(),
        None,
        WatchPolicy::Alert,
    )?;
    let mut adopted = discovery.clone();
    if let Some(served) = &mut adopted.served {
        served.managed = Some(plan.made.id);
    }
    let detail = watch.endpoint.to_string();
    let unit = store
        .watches
        .insert(&watch)?
        .and(store.discoveries.update(&adopted)?);
    let target = format!("managed/{}", plan.made.id);
    Ok(plan
        .and(unit)
        .recording(Act::CreateWatch, target)
        .with_detail(detail))
}

/// A place is looked at no more.
pub fn remove(store: &Store, discovery: Discovery) -> Plan<Discovery> {
    let unit = store.discoveries.remove(&discovery);
    let (target, detail) = (
        format!("project/{}", discovery.project),
        discovery.endpoint.to_string(),
    );
    Plan::new(discovery, unit)
        .recording(Act::RemoveDiscovery, target)
        .with_detail(detail)
}
