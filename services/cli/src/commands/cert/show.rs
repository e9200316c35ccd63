//! One managed certificate.

use certfleet_domain::{Clock as _, ManagedId, ProofState, SystemClock};
use certfleet_jobs::Job;
use certfleet_management::views::{CertificateView, PlacementView, VersionView};
use certfleet_storage::Store;
use serde::Serialize;

use super::find;
use super::view;
use crate::failure::Failure;
use crate::output::{Output, moment, moment_or_none};

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    managed: CertificateView,
    /// What the attempt that is under way has met last, and will try again.
    meanwhile: Option<String>,
    /// The certificates that it has had, the oldest first.
    versions: Vec<VersionView>,
    /// Where it is delivered to.
    placements: Vec<PlacementView>,
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
    let managed = CertificateView::of(&found, SystemClock.now());
    let versions = store.fleet.versions_of(id).await?;
    let versions = versions.iter().map(VersionView::from).collect();
    let placements = store.deliveries.placements_of(id).await?;
    let placements = placements.iter().map(PlacementView::from).collect();
    let whole = Whole {
        managed,
        meanwhile,
        versions,
        placements,
    };
    out.show(&whole, |sheet| {
        view::write(&whole.managed, sheet);
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
