//! A service that is given another KEK than the one that the secrets are sealed under (SEC-4): it says which is due,
//! and writes nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use bson::doc;
use certfleet_domain::SystemRng;
use certfleet_secrets::{KekProvider as _, generate_kek_file, read_kek_file};
use certfleet_system_tests::{Cluster, Outsider};

/// Longer than a service takes to come back to what it waits for, and to tell others that it lives.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_service_with_a_foreign_kek_names_the_one_that_is_due_and_writes_nothing() {
    // No other test may issue anything, since what is compared is what was written.
    let cluster = Cluster::alone().await.unwrap();
    for service in ["api", "worker"] {
        refuses_to_begin(&cluster, service)
            .await
            .unwrap_or_else(|error| panic!("{service}: {error:#}"));
    }
}

async fn refuses_to_begin(cluster: &Cluster, service: &str) -> Result<()> {
    let due = read_kek_file(cluster.kek_file())?.id().to_string();
    let directory = tempfile::tempdir()?;
    let foreign = directory.path().join("foreign.kek");
    let foreign_id = generate_kek_file(&foreign, &mut SystemRng)?.to_string();
    ensure!(foreign_id != due, "two keys have one id");
    let log = directory.path().join("log");
    let database = cluster.database().await?;
    let secrets = database.find("secrets", doc! {}).await?;
    let processes = database.count("processes", doc! {}).await?;

    let settings = [("CERTFLEET_KEK_FILE", foreign.as_os_str())];
    let mut outsider = Outsider::start(cluster, service, &settings, directory.path(), &log)?;
    outsider
        .await_probe("/readyz", |status, said| {
            status == 503 && said.contains(&due)
        })
        .await?;
    tokio::time::sleep(LONG_ENOUGH).await;
    outsider
        .await_probe("/readyz", |status, said| {
            status == 503 && said.contains(&due)
        })
        .await?;
    outsider
        .await_probe("/livez", |status, _| status == 200)
        .await?;

    ensure!(
        database.find("secrets", doc! {}).await? == secrets,
        "it changed the secrets"
    );
    ensure!(
        database.count("processes", doc! {}).await? == processes,
        "it counts itself among those at work"
    );
    ensure!(
        std::fs::read_to_string(&log)?.contains(&due),
        "its log does not name the KEK that is due"
    );
    Ok(())
}
