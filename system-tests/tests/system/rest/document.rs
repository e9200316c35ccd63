//! The OpenAPI document, held against what the API does by schemathesis: thousands of requests that the document allows, and
//! that it does not.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::pick_free_ports;
use certfleet_system_tests::{Cluster, Outsider};
use certfleet_testkit::tools_directory;
use serde_json::Value;

use crate::support::succeeded;

/// A database of its own: nobody carries out what is asked for there.
const DATABASE: &str = "certfleet_rest";
/// So many requests for each operation and phase.
const EXAMPLES: &str = "20";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_document_says_is_what_is_done() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let certfleet = |arguments: &[&str]| cluster.certfleet_in(DATABASE, arguments);
    succeeded(&certfleet(&["db", "migrate"])?)?;
    succeeded(&certfleet(&["ca", "create", "default"])?)?;
    let made = succeeded(&certfleet(&[
        "token",
        "create",
        "schemathesis",
        "--role",
        "admin",
        "--json",
    ])?)?;
    let made: Value = serde_json::from_str(&made)?;
    let token = made["token"].as_str().context("no token")?;
    let home = tempfile::tempdir()?;
    let address = format!("127.0.0.1:{}", pick_free_ports(1)?[0]);
    let url = format!("http://{address}");
    let settings = [
        ("CERTFLEET_DATABASE_NAME", OsStr::new(DATABASE)),
        ("CERTFLEET_TLS_MODE", OsStr::new("off")),
        ("CERTFLEET_SERVER_EXTERNAL_URL", OsStr::new(&url)),
        ("CERTFLEET_REST_LISTEN", OsStr::new(&address)),
        ("CERTFLEET_REVOCATION_LISTEN", OsStr::new("")),
    ];
    let log = home.path().join("api.log");
    let mut api = Outsider::start(&cluster, "api", &settings, &home.path().join("api"), &log)?;
    api.await_probe("/readyz", |status, _| status == 200)
        .await?;
    let tool = tools_directory().join("rest-venv/bin/schemathesis");
    ensure!(
        tool.exists(),
        "schemathesis is missing: scripts/get-test-tools"
    );
    let done = Command::new(tool)
        .current_dir(home.path())
        .args([
            "run",
            &format!("{url}/api/v1/openapi.json"),
            "--workers",
            "1",
            "--no-color",
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--max-examples",
            EXAMPLES,
        ])
        // What has failed fails again.
        .args(["--seed", "1"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "{said}");
    // It has found the operations, and got in.
    ensure!(said.contains("Tested: 45"), "{said}");
    api.end().await?;
    Ok(())
}
