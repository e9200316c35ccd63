//! The places that there are.

use std::collections::HashMap;

use certfleet_domain::{Target, TargetName};
use certfleet_storage::Store;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct View {
    name: String,
    agent: String,
    files: Vec<FileView>,
    run: Option<String>,
    probe: Option<String>,
    /// How many certificates are to be there.
    certificates: i64,
    /// How many of these are on their way, or could not be delivered.
    pending: i64,
}

#[derive(Serialize)]
struct FileView {
    path: String,
    content: &'static str,
    /// In octal.
    mode: String,
    owner: Option<String>,
}

impl View {
    fn of(target: Target, (certificates, pending): (i64, i64)) -> Self {
        let files = target.files.into_iter().map(|file| FileView {
            path: file.path.to_string(),
            content: file.content.name(),
            mode: format!("{:o}", file.mode),
            owner: file.owner,
        });
        Self {
            name: target.name.to_string(),
            agent: target.agent.to_string(),
            files: files.collect(),
            run: target.reload.map(|command| command.to_string()),
            probe: target.probe.map(|probe| probe.to_string()),
            certificates,
            pending,
        }
    }
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
            View::of(target, counts)
        })
        .collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is no target; `certfleet target add NAME --agent AGENT --chain PATH --key PATH` adds one");
            return;
        }
        let rows = all.iter().map(|one| {
            let files: Vec<&str> = one.files.iter().map(|file| file.path.as_str()).collect();
            [
                one.name.clone(),
                one.agent.clone(),
                files.join(" "),
                one.run.clone().unwrap_or_default(),
                one.probe.clone().unwrap_or_default(),
                one.certificates.to_string(),
                one.pending.to_string(),
            ]
        });
        let heads = ["name", "agent", "files", "run", "probe", "certificates", "pending"];
        sheet.table(heads, rows);
    })
}
