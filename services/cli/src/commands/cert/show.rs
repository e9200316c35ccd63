//! One managed certificate.

use certfleet_domain::{ManagedId, Timestamp};
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
    let managed = ManagedView::of(&find(store, id).await?);
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
    let whole = Whole { managed, versions };
    out.show(&whole, |sheet| {
        whole.managed.write(sheet);
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
