//! One managed certificate.

use certfleet_domain::{ManagedId, Placement, ProofState, Timestamp};
use certfleet_jobs::Job;
use certfleet_storage::Store;
use serde::Serialize;

use super::find;
use super::view::ManagedView;
use crate::failure::Failure;
use crate::output::{Output, moment, moment_or_none};

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    managed: ManagedView,
    /// What the attempt that is under way has met last, and will try again.
    meanwhile: Option<String>,
    /// The certificates that it has had, the oldest first.
    versions: Vec<VersionView>,
    /// Where it is delivered to.
    placements: Vec<PlacementView>,
}

#[derive(Serialize)]
struct PlacementView {
    id: String,
    target: String,
    /// What it is called there.
    name: String,
    /// `waiting` for a certificate, `due`, `failing` or `placed`.
    status: &'static str,
    /// The version that is there.
    version: Option<String>,
    /// Whether the host was seen to serve it.
    seen: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    placed_at: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339::option")]
    next_at: Option<Timestamp>,
    trouble: Option<String>,
}

impl From<Placement> for PlacementView {
    fn from(placement: Placement) -> Self {
        let placed = placement.placed.as_ref();
        Self {
            id: placement.id.to_string(),
            target: placement.target.to_string(),
            name: placement.name.to_string(),
            status: placement.status(),
            version: placed.map(|placed| placed.version.to_string()),
            seen: placed.is_some_and(|placed| placed.seen),
            placed_at: placed.map(|placed| placed.at),
            next_at: placement.next_at,
            trouble: placement.setback.map(|setback| setback.why),
        }
    }
}

#[derive(Serialize)]
struct VersionView {
    id: String,
    upstream: String,
    #[serde(with = "time::serde::rfc3339")]
    not_before: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    not_after: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
}

/// A proof that is not in DNS yet, if it waits for one.
async fn awaited(store: &Store, id: ManagedId) -> Result<Option<String>, Failure> {
    let proofs = store.solvers.proofs_of(id).await?;
    let wanted = proofs
        .iter()
        .find(|proof| proof.state == ProofState::Wanted);
    Ok(wanted.map(|proof| {
        let why = proof.trouble.as_deref().unwrap_or("in a moment");
        format!("{} is not published by {}: {why}", proof.name, proof.solver)
    }))
}

/// Shows it.
pub async fn run(store: &Store, id: ManagedId, out: Output) -> Result<(), Failure> {
    let found = find(store, id).await?;
    let job = Job::RenewManaged {
        managed: id,
        round: found.round,
    };
    let job = store.jobs.find(&job.key()).await?;
    let last = job.and_then(|job| job.errors.last().cloned());
    let meanwhile = match last {
        Some(last) => Some(format!("attempt {}: {}", last.attempt, last.error)),
        None => awaited(store, id).await?,
    };
    let managed = ManagedView::of(&found);
    let versions = store.fleet.versions_of(id).await?;
    let versions = versions
        .into_iter()
        .map(|version| VersionView {
            id: version.id.to_string(),
            upstream: version.upstream.to_string(),
            not_before: version.not_before,
            not_after: version.not_after,
            created_at: version.created_at,
        })
        .collect();
    let placements = store.deliveries.placements_of(id).await?;
    let placements = placements.into_iter().map(PlacementView::from).collect();
    let whole = Whole {
        managed,
        meanwhile,
        versions,
        placements,
    };
    out.show(&whole, |sheet| {
        whole.managed.write(sheet);
        if let Some(meanwhile) = &whole.meanwhile {
            sheet.pairs([("meanwhile", meanwhile.clone())]);
        }
        if !whole.placements.is_empty() {
            sheet.title("Delivered to");
            let rows = whole.placements.iter().map(|placement| {
                [
                    placement.target.clone(),
                    placement.status.to_owned(),
                    placement.version.clone().unwrap_or_default(),
                    moment_or_none(placement.placed_at),
                    if placement.seen { "yes" } else { "no" }.to_owned(),
                    placement.trouble.clone().unwrap_or_default(),
                ]
            });
            let heads = ["target", "status", "version", "since", "seen", "trouble"];
            sheet.table(heads, rows);
        }
        if whole.versions.is_empty() {
            return;
        }
        sheet.title("Certificates");
        let rows = whole.versions.iter().map(|version| {
            [
                version.id.clone(),
                version.upstream.clone(),
                moment(version.created_at),
                moment(version.not_after),
            ]
        });
        sheet.table(["version", "from", "came", "valid until"], rows);
    })
}
