//! Certificates that nobody has told the fleet of (DEP-5): seen where they are served, adopted once, and gone where nothing is.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::pick_free_ports;
use certfleet_system_tests::Cluster;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::rest::client::Client;
use crate::support::{refused, succeeded};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

struct Found<'c> {
    cluster: &'c Cluster,
}

impl Found<'_> {
    fn certfleet(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cluster.certfleet(&[arguments, &["--json"]].concat())?;
        Ok(serde_json::from_str(&succeeded(&output)?)?)
    }

    /// What is said of a place, once it was looked at.
    async fn at(&self, endpoint: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            let all = self.certfleet(&["discover", "list"])?;
            let all = all.as_array().context("no list")?;
            let found = all.iter().find(|one| one["endpoint"] == endpoint);
            match found {
                Some(found) if found["status"] != "waiting" => return Ok(found.clone()),
                _ => ensure!(began.elapsed() < PATIENCE, "{all:?}"),
            }
            sleep(PAUSE).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_somewhere_is_seen_and_adopted_once() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let found = Found { cluster: &cluster };
    let own = format!("localhost:{}", cluster.port());
    let dead = format!("localhost:{}", pick_free_ports(1)?[0]);
    let added = found.certfleet(&["discover", "add", &own, &dead])?;
    ensure!(added.as_array().map(Vec::len) == Some(2), "{added}");
    let again = found.certfleet(&["discover", "add", &own, &dead])?;
    ensure!(again.as_array().map(Vec::len) == Some(0), "{again}");

    // The API itself is a place like any other.
    let seen = found.at(&own).await?;
    ensure!(seen["status"] == "unmanaged", "{seen}");
    ensure!(
        seen["names"] == json!(["localhost", "127.0.0.1", "::1"]),
        "{seen}"
    );
    ensure!(
        seen["issuer"]
            .as_str()
            .is_some_and(|issuer| issuer.contains("certfleet")),
        "{seen}"
    );
    let unseen = found.at(&dead).await?;
    ensure!(
        unseen["status"] == "unseen" && unseen["trouble"].is_string(),
        "{unseen}"
    );

    nothing_is_kept_of_a_network_where_nothing_answers(&found).await?;

    let client = Client::new(&cluster, &cluster.admin_token()?)?;
    let id = seen["id"].as_str().context("no id")?;
    let path = format!("/discoveries/{id}/adopt");
    let wish = json!({ "upstreams": ["own"] });
    let answers = try_join_all((0..8).map(|_| client.post(&path, &wish))).await?;
    let (done, late): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 202);
    ensure!(done.len() == 1, "{} adoptions", done.len());
    for answer in &late {
        ensure!(matches!(answer.status, 409 | 412), "{}", answer.body);
    }
    let adopted = &done[0].body;
    let managed = adopted["id"].as_str().context("no id")?;
    let row = client
        .get(&format!("/discoveries/{id}"))
        .await?
        .expect(200)?;
    ensure!(
        row["status"] == "managed" && row["certificate"] == managed,
        "{row}"
    );
    let watched = found.certfleet(&["cert", "watches", managed])?;
    ensure!(watched[0]["endpoint"] == own.as_str(), "{watched}");
    let once = refused(&cluster.certfleet(&["discover", "adopt", id, "--upstream", "own"])?)?;
    ensure!(once.contains("managed already"), "{once}");

    found.certfleet(&["cert", "remove", managed])?;
    // It is nobody's again, though that was not looked at yet.
    let anew = client.post(&path, &wish).await?.expect(202)?;
    found.certfleet(&["cert", "remove", anew["id"].as_str().context("no id")?])?;
    for gone in [&seen, &unseen] {
        let id = gone["id"].as_str().context("no id")?;
        found.certfleet(&["discover", "remove", id])?;
    }
    client
        .get(&format!("/discoveries/{id}"))
        .await?
        .expect(404)?;
    Ok(())
}

async fn nothing_is_kept_of_a_network_where_nothing_answers(found: &Found<'_>) -> Result<()> {
    let too_large = ["discover", "add", "--network", "10.0.0.0/8"];
    let too_large = refused(&found.cluster.certfleet(&too_large)?)?;
    ensure!(too_large.contains("4096"), "{too_large}");
    let network = [
        "discover",
        "add",
        "--network",
        "127.99.77.0/29",
        "--ports",
        "9,10",
    ];
    let added = found.certfleet(&network)?;
    ensure!(added.as_array().map(Vec::len) == Some(12), "{added}");
    let began = Instant::now();
    loop {
        let all = found.certfleet(&["discover", "list"])?;
        let all = all.as_array().context("no list")?;
        let of_it = |one: &&Value| {
            one["endpoint"]
                .as_str()
                .is_some_and(|at| at.starts_with("127.99.77."))
        };
        if !all.iter().any(|one| of_it(&one)) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{all:?}");
        sleep(PAUSE).await;
    }
}
