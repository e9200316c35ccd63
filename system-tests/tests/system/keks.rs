//! Which KEK seals, at the command line (SEC-3). Rotations under load, with workers killed in the middle, are a drill.

use anyhow::{Context as _, Result, ensure};
use certfleet_secrets::{KekProvider as _, read_kek_file};
use certfleet_system_tests::Cluster;
use serde_json::Value;

use crate::support::{refused, succeeded};

fn status(cluster: &Cluster) -> Result<Value> {
    let said = succeeded(&cluster.certfleet(&["kek", "status", "--json"])?)?;
    Ok(serde_json::from_str(&said)?)
}

#[tokio::test]
async fn the_status_names_the_one_that_seals_and_one_that_nobody_holds_is_refused() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let id = read_kek_file(cluster.kek_file())?.id().to_string();
    let before = status(&cluster)?;
    let kek = &before["keks"][0];
    ensure!(before["seals"] == id.as_str(), "{before}");
    ensure!(kek["id"] == id.as_str() && kek["seals"] == true, "{before}");
    let secrets = cluster.opened_secrets().await?;
    ensure!(kek["secrets"] == secrets.len(), "{before}");
    // Two API replicas and two workers.
    ensure!(before["processes"] == 4 && kek["held_by"] == 4, "{before}");

    let foreign = "0123456789abcdef";
    let refusal = refused(&cluster.certfleet(&["kek", "rotate", "--to", foreign])?)?;
    for process in cluster.processes()? {
        let due = matches!(process.service.as_str(), "api" | "worker");
        let named = refusal.matches(&process.service).count() >= 2;
        ensure!(named == due, "{refusal}");
    }
    ensure!(status(&cluster)? == before, "something was done");
    let said = succeeded(&cluster.certfleet(&["kek", "rotate", "--to", &id])?)?;
    ensure!(said.contains("nothing is left under any other"), "{said}");

    let people = succeeded(&cluster.certfleet(&["kek", "status"])?)?;
    let line = people.lines().find(|line| line.contains(&id));
    let line = line.with_context(|| people.clone())?;
    ensure!(line.contains("4 of 4") && line.contains("seals"), "{line}");
    Ok(())
}
