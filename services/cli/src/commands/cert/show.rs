//! One managed certificate.

use certfleet_domain::{ManagedId, Timestamp};
use certfleet_jobs::Job;
use certfleet_storage::Store;
use serde::Serialize;

use super::find;
use super::view::ManagedView;
use crate::failure::Failure;
use crate::output::{Output, moment};

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    managed: ManagedView,
    /// What the attempt that is under way has met last, and will try again.
    meanwhile: Option<String>,
    /// The certificates that it has had, the oldest first.
    versions: Vec<VersionView>,
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

/// Shows it.
pub async fn run(store: &Store, id: ManagedId, out: Output) -> Result<(), Failure> {
    let found = find(store, id).await?;
    let job = Job::RenewManaged {
        managed: id,
        round: found.round,
    };
    let job = store.jobs.find(&job.key()).await?;
    let last = job.and_then(|job| job.errors.last().cloned());
    let meanwhile = last.map(|last| format!("attempt {}: {}", last.attempt, last.error));
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
    let whole = Whole {
        managed,
        meanwhile,
        versions,
    };
    out.show(&whole, |sheet| {
        whole.managed.write(sheet);
        if let Some(meanwhile) = &whole.meanwhile {
            sheet.pairs([("meanwhile", meanwhile.clone())]);
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
