//! The Helm chart (K8S-1, -2, -4): rendered by Helm 3 and Helm 4, valid, and of one mind with the services.
//!
//! `system-tests/chart/check.py` looks at the documents; here it is given what it needs of the services.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_supervisor::Signal;
use certfleet_system_tests::metrics::Scrape;
use certfleet_system_tests::{Alone, Binaries, Cluster, fresh_name};
use serde_json::{Value, json};

use crate::support::{refused, succeeded};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Has the chart looked at.
fn check(arguments: &[&str]) -> Result<()> {
    let python = repository().join(".certfleet/tools/chart-venv/bin/python");
    let output = Command::new(&python)
        .arg(repository().join("system-tests/chart/check.py"))
        .args(arguments)
        .output()
        .with_context(|| format!("{}: run scripts/get-test-tools", python.display()))?;
    let said = succeeded(&output)?;
    ensure!(!said.is_empty(), "nothing was looked at");
    Ok(())
}

#[test]
fn both_helms_render_each_case_alike_and_each_document_is_valid() -> Result<()> {
    check(&["render"])
}

#[test]
fn what_does_not_fit_together_is_refused_in_a_sentence() -> Result<()> {
    check(&["refusals"])
}

#[test]
fn services_take_the_settings_that_the_chart_gives_them() -> Result<()> {
    let binaries = Binaries::find()?;
    let folder = binaries.directory().to_str().context("not UTF-8")?;
    check(&["settings", folder])?;
    check(&["ports"])
}

#[test]
fn checkov_finds_nothing() -> Result<()> {
    check(&["checkov"])
}

#[test]
fn alerts_fire_when_they_should_and_not_before() -> Result<()> {
    let tests = repository().join("system-tests/chart/alerts_test.yaml");
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(tests)
        .output()
        .context("promtool: run scripts/get-test-tools")?;
    let said = succeeded(&output)?;
    ensure!(said.contains("SUCCESS"), "{said}");
    Ok(())
}

#[tokio::test]
async fn alerts_and_dashboard_name_what_is_exported() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    // So that whoever signs has signed.
    acme.issue(&account, &[fresh_name("chart")], cluster.answers())
        .await?;
    let mut names = BTreeSet::new();
    for process in cluster.processes()? {
        if !process.management.starts_with("http://") {
            continue;
        }
        for series in Scrape::of(&process).await?.series() {
            let name = series.split('{').next().unwrap_or_default();
            names.insert(name.to_owned());
        }
    }
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &names)?;
    check(&["metrics", file.path().to_str().context("not UTF-8")?])
}

/// `rollout wait` and `backup keep`, which the chart's pods call.
#[tokio::test]
async fn pods_wait_for_those_before_them_and_keep_the_backups_of_some_days() -> Result<()> {
    let cluster: Alone = Cluster::alone().await?;
    let wait = |service: &str| {
        let wish = format!("--for={service}");
        cluster.certfleet(&["rollout", "wait", &wish, "--timeout=1s"])
    };
    succeeded(&wait("scheduler")?)?;
    // One of another version, which stands still, and so does not say again of which it is.
    cluster.signal("scheduler", 1, Signal::SIGSTOP)?;
    let other = doc! { "$set": { "version": "0.0.1" } };
    let standing_still = cluster.process("scheduler", 1)?;
    let log = cluster.log_of("scheduler", 1);
    let id = log
        .rsplit_once("\"server_id\":\"")
        .and_then(|(_, rest)| rest.split('"').next())
        .with_context(|| format!("{standing_still:?} has not said who it is"))?;
    let database = cluster.database().await?;
    database
        .change("processes", doc! { "_id": id }, other)
        .await?;
    let why = refused(&wait("scheduler")?)?;
    ensure!(
        why.contains(id) && why.contains("of 0.0.1"),
        "{why}: {id} was to be named"
    );
    succeeded(&wait("api")?)?;
    cluster.signal("scheduler", 1, Signal::SIGCONT)?;
    succeeded(&cluster.certfleet(&["rollout", "wait", "--for=scheduler", "--for=worker"])?)?;

    let directory = tempfile::tempdir()?;
    let folder = directory.path().to_str().context("not UTF-8")?;
    let old = directory.path().join("certfleet-2020-01-01T000000Z.tar");
    let others = directory.path().join("certfleet-of-mine.tar");
    std::fs::write(&old, "old")?;
    std::fs::write(&others, "mine")?;
    let kept = succeeded(&cluster.certfleet(&["backup", "keep", folder, "--json"])?)?;
    let kept: Value = serde_json::from_str(&kept)?;
    ensure!(
        kept["removed"] == json!(["certfleet-2020-01-01T000000Z.tar"]) && !old.exists(),
        "{kept}"
    );
    ensure!(others.exists(), "what is not a backup was removed");
    let file = kept["file"].as_str().context("no file")?;
    succeeded(&cluster.certfleet(&["backup", "check", file])?)?;
    Ok(())
}
