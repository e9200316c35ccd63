//! The places that there are.

use std::collections::HashMap;

use certfleet_domain::TargetName;
use certfleet_management::views::TargetView;
use certfleet_storage::Store;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    target: TargetView,
    /// How many certificates are to be there.
    certificates: i64,
    /// How many of these are on their way, or could not be delivered.
    pending: i64,
}

/// Lists them.
pub async fn run(store: &Store, out: Output) -> Result<(), Failure> {
    let tally = store.deliveries.tally().await?;
    let tally: HashMap<TargetName, (i64, i64)> = tally
        .into_iter()
        .map(|(target, all, pending)| (target, (all, pending)))
        .collect();
    let targets = store.deliveries.targets().await?.into_iter();
    let all: Vec<View> = targets
        .map(|target| {
            let counts = tally.get(&target.name).copied().unwrap_or_default();
            View {
                target: TargetView::from(&target),
                certificates: counts.0,
                pending: counts.1,
            }
        })
        .collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is no target; `certfleet target add NAME --agent AGENT --chain PATH --key PATH` adds one");
            return;
        }
        let rows = all.iter().map(|one| {
            let files: Vec<&str> = one.target.files.iter().map(|file| file.path.as_str()).collect();
            [
                one.target.name.clone(),
                one.target.agent.clone(),
                files.join(" "),
                one.target.run.clone().unwrap_or_default(),
                one.target.probe.clone().unwrap_or_default(),
                one.certificates.to_string(),
                one.pending.to_string(),
            ]
        });
        let heads = ["name", "agent", "files", "run", "probe", "certificates", "pending"];
        sheet.table(heads, rows);
    })
}
