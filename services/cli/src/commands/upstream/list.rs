//! The authorities that there are.

use std::path::PathBuf;

use certfleet_management::views::UpstreamView;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Lists them.
pub async fn run(config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    let all = store.fleet.upstreams().await?;
    let all: Vec<UpstreamView> = all.iter().map(UpstreamView::from).collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line(
                "there is no authority; `certfleet upstream add NAME --directory URL` adds one",
            );
            return;
        }
        let rows = all.iter().map(|one| {
            [
                one.name.clone(),
                one.directory.clone(),
                one.profile.clone().unwrap_or_default(),
                one.limits.all().collect::<Vec<_>>().join(" "),
                one.account.clone().unwrap_or_else(|| "none yet".to_owned()),
            ]
        });
        sheet.table(["name", "directory", "profile", "limits", "account"], rows);
    })
}
