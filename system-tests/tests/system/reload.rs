//! SIGHUP (OPS-3): what can change while a service runs does, what cannot is named, and a mistake changes nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use certfleet_system_tests::{Cluster, Outsider};
use tokio::time::{Instant, sleep};

const SAID_WITHIN: Duration = Duration::from_secs(10);

/// Waits until a line of the log says this, after its first `after` octets; gives its length then.
pub async fn said(log: &Path, after: usize, due: &str) -> Result<usize> {
    let until = Instant::now() + SAID_WITHIN;
    loop {
        let text = std::fs::read_to_string(log)?;
        let new = text.get(after..).unwrap_or_default();
        if new.contains(due) {
            return Ok(text.len());
        }
        ensure!(Instant::now() < until, "{due:?} is not in {new}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn settings_are_read_again_and_what_needs_a_restart_is_named() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let directory = tempfile::tempdir()?;
    let (file, log) = (
        directory.path().join("settings.yaml"),
        directory.path().join("log"),
    );
    std::fs::write(&file, "log: { level: warn }\n")?;
    let settings = [("CERTFLEET_CONFIG", file.as_os_str())];
    let mut worker = Outsider::start(&cluster, "worker", &settings, directory.path(), &log)?;
    worker
        .await_probe("/readyz", |status, _| status == 200)
        .await?;
    ensure!(worker.probe("/metrics").await?.0 == 200, "no metrics");
    let quiet = std::fs::read_to_string(&log)?;
    ensure!(
        !quiet.contains("starts"),
        "it logs more than it should: {quiet}"
    );

    let changed = "log: { level: info }\nmanagement: { metrics_token: s3cret }\nworker: { labels: [zone-a] }\n";
    std::fs::write(&file, changed)?;
    worker.reload()?;
    let length = said(&log, quiet.len(), "these need a restart: worker.labels").await?;
    said(&log, quiet.len(), "log.level is changed").await?;
    ensure!(
        worker.probe("/metrics").await?.0 == 401,
        "no token is asked for"
    );
    let text = std::fs::read_to_string(&log)?;
    ensure!(!text.contains("s3cret"), "the token is in the log");

    std::fs::write(&file, "log: { level: loud }\nworker: { leese: 3s }\n")?;
    worker.reload()?;
    for mistake in ["log.level", "worker.leese"] {
        said(&log, length, mistake).await?;
    }
    ensure!(
        worker.probe("/metrics").await?.0 == 401,
        "something has changed"
    );
    let (status, ..) = worker.probe("/readyz").await?;
    ensure!(status == 200, "/readyz: {status}");
    let (status, _) = worker.end().await?;
    ensure!(status.success(), "{status}");
    Ok(())
}
