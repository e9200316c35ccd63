//! What the audit trail has to say when a drill is over.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_system_tests::Database;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::ground::{Ground, PAUSE};

/// The duty is due every ten seconds; a worker that died with its job in hand has it for a lease longer.
const NUMBERED_WITHIN: Duration = Duration::from_secs(120);

/// All acts have their numbers, the log is what was signed, and of each certificate it has one entry: none was issued
/// without one, and none is there that was not. Gives how many entries there are.
pub async fn is_whole(
    ground: &Ground,
    database: &Database,
    certificates: &[Document],
) -> Result<usize> {
    let until = Instant::now() + NUMBERED_WITHIN;
    while database.count("audit_outbox", doc! {}).await? > 0 {
        ensure!(Instant::now() < until, "events are left without a number");
        sleep(PAUSE).await;
    }
    said(ground, &["audit", "verify"])?;
    let mut entries = 0;
    let mut issued: BTreeMap<String, usize> = BTreeMap::new();
    for line in said(ground, &["audit", "export"])?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let event = &entry["event"];
        if event["act"] == "certificate.issue" && event["outcome"] == "done" {
            let target = event["target"].as_str().context("an event of nothing")?;
            *issued.entry(target.to_owned()).or_default() += 1;
        }
        entries += 1;
    }
    let signed = certificates.iter().filter(|one| {
        let state = one.get_document("state");
        state.is_ok_and(|state| state.contains_key("der"))
    });
    for certificate in signed {
        let target = format!("certificate/{}", certificate.get_str("_id")?);
        let times = issued.remove(&target).unwrap_or(0);
        ensure!(times == 1, "{target} is on record {times} times");
    }
    ensure!(issued.is_empty(), "on record and not there: {issued:?}");
    Ok(entries)
}

fn said(ground: &Ground, command: &[&str]) -> Result<String> {
    let output = ground.certfleet(command)?;
    ensure!(
        output.status.success(),
        "certfleet {}: {}",
        command.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
