//! Managed certificates.

use std::collections::BTreeSet;

use certfleet_acme::CertId;
use certfleet_audit::{Act, Sender};
use certfleet_domain::{
    Clock as _, Current, Identifier, MAX_IDENTIFIERS, Managed, ManagedId, ProjectName, Sight,
    Solver, SystemClock, SystemRng, TargetName, UpstreamName, Version, VersionId,
};
use certfleet_jobs::Job;
use certfleet_pki::Leaf;
use certfleet_secrets::Secret;
use certfleet_storage::{SecretName, Store, Vault, Which};

use crate::placements::{placing, targets_for};
use crate::plan::Plan;
use crate::projects;
use crate::refused::Refused;

/// So many authorities in order of preference.
const MOST_UPSTREAMS: usize = 10;
/// So many certificates with a name are looked at whether one is the same.
const MOST_OF_A_NAME: i64 = 1000;

/// A certificate that is to be had.
pub struct NewCertificate {
    /// Whose it is. Its authorities, and where it goes, are of the same project.
    pub project: ProjectName,
    /// Its names; by the first it is called where it goes.
    pub names: Vec<Identifier>,
    /// From whom, in order of preference.
    pub upstreams: Vec<UpstreamName>,
    /// Where to deliver it, each time that it is renewed.
    pub targets: Vec<TargetName>,
}

/// What is to be changed of a managed certificate.
#[derive(Default)]
pub struct CertificateChange {
    /// It is to have these names, and is renewed for that.
    pub names: Option<Vec<Identifier>>,
    /// It is to be had from these from now on, in order of preference.
    pub upstreams: Option<Vec<UpstreamName>>,
}

/// A certificate is had from now on, and kept renewed.
pub async fn add(store: &Store, wish: NewCertificate) -> Result<Plan<Managed>, Refused> {
    projects::require(store, &wish.project).await?;
    let called = wish.names.first().cloned();
    let called = called.ok_or_else(|| Refused::Invalid("a name is due".to_owned()))?;
    let names = provable(store, &wish.project, wish.names).await?;
    require_upstreams(store, &wish.project, &wish.upstreams).await?;
    let now = SystemClock.now();
    let id = ManagedId::generate(&SystemClock, &mut SystemRng);
    // The job is enqueued beside it.
    let managed = Managed::new(id, names, wish.upstreams, now)
        .in_project(wish.project)
        .looked_after(now);
    let targets = targets_for(store, &managed, &wish.targets).await?;
    let job = Job::RenewManaged {
        managed: managed.id,
        round: managed.round,
    };
    let unit = store.fleet.insert(&managed)?.and(store.jobs.enqueue(&job)?);
    let plan = Plan::new(managed.clone(), unit)
        .recording(Act::CreateManaged, format_args!("managed/{id}"))
        .with_detail(joined(&managed.names));
    placing(plan, store, &managed, (&targets, &called))
}

/// A certificate that somebody else has had and renewed until now.
pub struct NewImport {
    /// Whose it is.
    pub project: ProjectName,
    /// Its chain, PEM.
    pub chain: String,
    /// What the chain says.
    pub leaf: Leaf,
    /// Its key, PKCS#8, which was held against the chain.
    pub key: Secret,
    /// From whom it is to be had from now on, in order of preference.
    pub upstreams: Vec<UpstreamName>,
    /// Whether the first of these has issued it, so that it can be asked for its suggestion.
    pub is_from_the_first: bool,
}

/// A certificate that somebody else has had is kept renewed from now on.
pub async fn import(
    store: &Store,
    vault: &Vault,
    wish: NewImport,
) -> Result<Plan<Managed>, Refused> {
    projects::require(store, &wish.project).await?;
    let names = provable(store, &wish.project, wish.leaf.names).await?;
    require_upstreams(store, &wish.project, &wish.upstreams).await?;
    let now = SystemClock.now();
    if wish.leaf.not_after <= now {
        return Err(Refused::Conflict("it has expired".to_owned()));
    }
    require_unmanaged(store, &wish.project, &names).await?;
    let upstream = wish.upstreams.first().cloned();
    let upstream = upstream.ok_or_else(|| Refused::Invalid("an authority is due".to_owned()))?;
    let version = Version {
        id: VersionId::generate(&SystemClock, &mut SystemRng),
        managed: ManagedId::generate(&SystemClock, &mut SystemRng),
        upstream: upstream.clone(),
        chain: wish.chain,
        not_before: wish.leaf.not_before,
        not_after: wish.leaf.not_after,
        created_at: now,
    };
    let cert_id = CertId::of(wish.leaf.issuer_key, &wish.leaf.serial);
    let current = Current {
        version: version.id,
        upstream,
        cert_id: cert_id.filter(|_| wish.is_from_the_first),
        serial: hex::encode(wish.leaf.serial),
        names,
        not_before: version.not_before,
        not_after: version.not_after,
        advice: None,
        ask_at: now,
    };
    let managed = Managed::imported(version.managed, current, wish.upstreams, now);
    let managed = managed.in_project(wish.project);
    let name = SecretName::ManagedKey(version.id);
    let sealed = vault.insert(&name, &wish.key, &mut SystemRng).await?;
    let unit = store.fleet.insert(&managed)?;
    let unit = unit.and(store.fleet.insert_version(&version)?).and(sealed);
    let (id, detail) = (managed.id, joined(&managed.names));
    Ok(Plan::new(managed, unit)
        .recording(Act::ImportManaged, format_args!("managed/{id}"))
        .with_detail(detail))
}

/// No two renew the same.
async fn require_unmanaged(
    store: &Store,
    project: &ProjectName,
    names: &[Identifier],
) -> Result<(), Refused> {
    let which = Which {
        sight: Sight::Of([project.clone()].into()),
        ..Which::all()
    };
    let Some(first) = names.first() else {
        return Ok(());
    };
    let found = store
        .inventory
        .named(first, &which, None, MOST_OF_A_NAME)
        .await?;
    match found.iter().find(|(_, managed)| managed.names == names) {
        Some((_, managed)) => Err(Refused::Conflict(format!(
            "it is managed already: {}",
            managed.id
        ))),
        None => Ok(()),
    }
}

/// A managed certificate is to be another one from now on.
pub async fn change(
    store: &Store,
    managed: Managed,
    change: CertificateChange,
) -> Result<Plan<Managed>, Refused> {
    let now = SystemClock.now();
    let mut changed = managed;
    let mut detail = Vec::new();
    if let Some(names) = change.names {
        let names = provable(store, &changed.project, names).await?;
        require_names_in_use(store, &changed, &names).await?;
        detail.push(joined(&names));
        changed = changed.rename(names, now);
    }
    if let Some(upstreams) = change.upstreams {
        require_upstreams(store, &changed.project, &upstreams).await?;
        detail.push(format!("from {}", joined(&upstreams)));
        changed = changed.from_now_on_from(upstreams, now);
    }
    let unit = store.fleet.update(&changed)?;
    let target = format!("managed/{}", changed.id);
    Ok(Plan::new(changed, unit)
        .recording(Act::ChangeManaged, target)
        .with_detail(detail.join("; ")))
}

/// A certificate is renewed now, be it due or not, whoever has it in hand.
pub async fn renew(store: &Store, sender: &Sender, id: ManagedId) -> Result<Managed, Refused> {
    loop {
        let now = SystemClock.now();
        let forced = find(store, id).await?.force(now).looked_after(now);
        let job = Job::RenewManaged {
            managed: id,
            round: forced.round,
        };
        let unit = store.fleet.update(&forced)?.and(store.jobs.enqueue(&job)?);
        let plan =
            Plan::new(forced, unit).recording(Act::ForceRenewal, format_args!("managed/{id}"));
        match plan.carry_out(store, sender).await {
            // A worker has it in hand: once more, over what it has written.
            Err(Refused::Meanwhile | Refused::Conflict(_)) => {}
            done => return done,
        }
    }
}

/// A certificate is kept no more: neither renewed nor delivered nor looked at, and the keys of all that it had are destroyed. It
/// is not revoked, and files that were delivered stay.
pub async fn remove(store: &Store, managed: Managed) -> Result<Plan<Managed>, Refused> {
    let id = managed.id;
    let mut unit = store.fleet.remove(&managed);
    for placement in store.deliveries.placements_of(id).await? {
        unit = unit.and(store.deliveries.remove_placement(&placement));
    }
    for watch in store.watches.of(id).await? {
        unit = unit.and(store.watches.remove(&watch));
    }
    let mut keys: BTreeSet<VersionId> = BTreeSet::new();
    for version in store.fleet.versions_of(id).await? {
        unit = unit.and(store.fleet.remove_version(version.id));
        keys.insert(version.id);
    }
    // A key may have been made for what has not come.
    keys.extend(managed.spare);
    keys.extend(managed.course.attempt().map(|attempt| attempt.version));
    let keys: Vec<String> = keys
        .into_iter()
        .map(|version| SecretName::ManagedKey(version).to_string())
        .collect();
    for key in store.secrets.present(&keys).await? {
        unit = unit.and(store.secrets.remove(&key));
    }
    let detail = joined(&managed.names);
    Ok(Plan::new(managed, unit)
        .recording(Act::RemoveManaged, format_args!("managed/{id}"))
        .with_detail(detail))
}

/// The managed certificate of this id.
async fn find(store: &Store, id: ManagedId) -> Result<Managed, Refused> {
    let found = store.fleet.managed(id).await?;
    found.ok_or_else(|| Refused::not_found("managed certificate", id))
}

/// The name that is wished, if it is one of its; without one, the first.
pub(crate) fn one_of_its_names(
    managed: &Managed,
    wished: Option<&Identifier>,
) -> Result<Identifier, Refused> {
    match wished {
        Some(name) if managed.names.contains(name) => Ok(name.clone()),
        Some(name) => Err(Refused::Conflict(format!("{name} is none of its names"))),
        None => {
            let first = managed.names.first().cloned();
            first.ok_or_else(|| Refused::Conflict("it has no name".to_owned()))
        }
    }
}

/// The names, sorted, each once, if one certificate can have them all and each can be proven.
async fn provable(
    store: &Store,
    project: &ProjectName,
    names: Vec<Identifier>,
) -> Result<Vec<Identifier>, Refused> {
    let names: BTreeSet<Identifier> = names.into_iter().collect();
    if names.is_empty() {
        return Err(Refused::Invalid("a name is due".to_owned()));
    }
    if names.len() > MAX_IDENTIFIERS {
        let why = format!(
            "{} names are more than the {MAX_IDENTIFIERS} that a certificate can have",
            names.len()
        );
        return Err(Refused::Invalid(why));
    }
    let wildcard = |name: &&Identifier| matches!(name, Identifier::Wildcard(_));
    if names.iter().any(|name| wildcard(&name)) {
        let solvers = store.solvers.of(project).await?;
        let lost = |name: &&Identifier| wildcard(name) && Solver::of(&solvers, name).is_none();
        if let Some(lost) = names.iter().find(lost) {
            let why = format!(
                "{lost} cannot be proven by http-01, and is in no zone that the fleet may change (`certfleet solver add`)"
            );
            return Err(Refused::Conflict(why));
        }
    }
    Ok(names.into_iter().collect())
}

async fn require_upstreams(
    store: &Store,
    project: &ProjectName,
    upstreams: &[UpstreamName],
) -> Result<(), Refused> {
    if upstreams.is_empty() || upstreams.len() > MOST_UPSTREAMS {
        let why = format!("1 to {MOST_UPSTREAMS} authorities are due");
        return Err(Refused::Invalid(why));
    }
    let each: BTreeSet<&UpstreamName> = upstreams.iter().collect();
    if each.len() < upstreams.len() {
        let why = "an authority is named twice";
        return Err(Refused::Invalid(why.to_owned()));
    }
    for name in upstreams {
        let found = store.fleet.upstream(name).await?;
        if found.is_none_or(|upstream| upstream.project != *project) {
            return Err(Refused::not_found("authority in the fleet called", name));
        }
    }
    Ok(())
}

/// Names that it is called by somewhere stay.
async fn require_names_in_use(
    store: &Store,
    managed: &Managed,
    names: &[Identifier],
) -> Result<(), Refused> {
    let placements = store.deliveries.placements_of(managed.id).await?;
    if let Some(placement) = placements.iter().find(|one| !names.contains(&one.name)) {
        let why = format!("it is called {} at {}", placement.name, placement.target);
        return Err(Refused::Conflict(why));
    }
    let watches = store.watches.of(managed.id).await?;
    if let Some(watch) = watches.iter().find(|one| !names.contains(&one.name)) {
        let why = format!("{} is asked for at {}", watch.name, watch.endpoint);
        return Err(Refused::Conflict(why));
    }
    Ok(())
}

fn joined(all: &[impl ToString]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.join(" ")
}
