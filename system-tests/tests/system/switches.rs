//! What people switch while the cluster runs: maintenance, paused kinds of jobs; and what they do with jobs that are
//! dead. By the operator's command, seen by every replica.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{DateTime, doc};
use certfleet_domain::ProblemKind::ServerInternal;
use certfleet_system_tests::acme::{Csr, Proof, identifiers};
use certfleet_system_tests::replicas::clients_of_each;
use certfleet_system_tests::{Alone, Cluster, fresh_name};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{refused, succeeded};

/// How long a switch may take to be seen everywhere, on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

fn told(cluster: &Cluster, arguments: &[&str]) -> Result<Value> {
    let arguments = [arguments, &["--json"]].concat();
    let said = succeeded(&cluster.certfleet(&arguments)?)?;
    Ok(serde_json::from_str(&said)?)
}

/// Sets a switch back when the test ends, however it ends.
struct Undo<'a>(&'a Cluster, &'static [&'static str]);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        drop(self.0.certfleet(self.1));
    }
}

#[tokio::test]
async fn the_health_of_the_whole_cluster_is_told() -> Result<()> {
    let cluster = Cluster::shared().await?;
    // A worker has each authority sign something soon after the start.
    let until = Instant::now() + Duration::from_secs(60);
    let health = loop {
        let health = told(&cluster, &["health"])?;
        let authorities = &health["parts"]["authorities"];
        let detail = authorities["detail"].as_str().unwrap_or_default();
        if authorities["status"] == "ok" && detail.contains("default: could sign") {
            break health;
        }
        ensure!(Instant::now() < until, "not asked: {health}");
        sleep(Duration::from_millis(100)).await;
    };
    let parts = &health["parts"];
    for service in ["api", "worker", "scheduler"] {
        let detail = parts[service]["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(" alive, 0."), "{service}: {health}");
    }
    for part in ["leader", "authority default"] {
        ensure!(parts[part]["status"] == "ok", "{part}: {health}");
    }
    let shown = succeeded(&cluster.certfleet(&["health"])?)?;
    ensure!(shown.contains("authority default"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_maintenance_refuses_what_is_new_and_lets_what_was_ordered_come_to_its_end() -> Result<()>
{
    let cluster: Alone = Cluster::alone().await?;
    let clients = clients_of_each(&cluster, 1).await?;
    let acme = &clients[0][0];
    let account = acme.new_account().await?;
    let name = fresh_name("maintenance");
    let (url, order) = acme.order_for(&account, &[&name]).await?;

    let undo = Undo(&cluster, &["maintenance", "off"]);
    let on = told(&cluster, &["maintenance", "on", "--reason", "until noon"])?;
    ensure!(on["maintenance"] == true, "{on}");
    let status = told(&cluster, &["maintenance", "status"])?;
    ensure!(status == on && on["reason"] == "until noon", "{status}");
    let health = told(&cluster, &["health"])?;
    let switches = &health["parts"]["switches"];
    ensure!(
        switches["status"] == "degraded" && health["status"] == "degraded",
        "{health}"
    );

    let wish = json!({ "identifiers": identifiers(&[&name]) });
    let single = json!({ "identifier": identifiers(&[&name])[0] });
    for client in clients.iter().flatten() {
        let directory = client.directory();
        let until = Instant::now() + SEEN_WITHIN;
        // From when it is seen on, all are refused.
        while client
            .post(&account, &directory.new_order, &wish)
            .await?
            .status
            == 201
        {
            ensure!(Instant::now() < until, "orders are still taken");
            sleep(Duration::from_millis(100)).await;
        }
        let new_authz = directory.new_authz.clone().context("no newAuthz")?;
        for (url, payload) in [(&directory.new_order, &wish), (&new_authz, &single)] {
            let answer = client.post(&account, url, payload).await?;
            let wait = answer.retry_after();
            ensure!(wait == Some(Duration::from_secs(300)), "{wait:?}");
            ensure!(answer.text().contains("until noon"), "{}", answer.text());
            answer.expect_problem(503, ServerInternal)?;
        }
    }

    // What was ordered goes on, and so do accounts.
    acme.prove_all(&account, &order, Proof::Http01, cluster.answers())
        .await?;
    let issued = acme
        .complete(&account, &url, &order, Csr::new(&[&name])?)
        .await?;
    acme.revoke(&account, &issued.certificate, None)
        .await?
        .expect(200)?;
    acme.new_account().await?;

    drop(undo);
    let status = told(&cluster, &["maintenance", "status"])?;
    ensure!(status["maintenance"] == false, "{status}");
    for client in clients.iter().flatten() {
        let until = Instant::now() + SEEN_WITHIN;
        let new_order = &client.directory().new_order;
        while client.post(&account, new_order, &wish).await?.status != 201 {
            ensure!(Instant::now() < until, "orders are still refused");
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_paused_kind_waits_until_it_is_resumed() -> Result<()> {
    let cluster: Alone = Cluster::alone().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = fresh_name("paused");
    let (url, order) = acme
        .ready_order(&account, &[&name], cluster.answers())
        .await?;

    let undo = Undo(&cluster, &["jobs", "resume", "signCertificate"]);
    let paused = told(&cluster, &["jobs", "pause", "signCertificate"])?;
    ensure!(paused["paused"] == json!(["signCertificate"]), "{paused}");
    // Longer than the workers take to see it, and they see it all at once.
    sleep(Duration::from_secs(3)).await;
    let csr = Csr::new(&[&name])?;
    let asked = acme
        .finalize(&account, &order, &csr.der)
        .await?
        .expect(200)?;
    let asked: Value = asked.json()?;
    ensure!(asked["status"] == "processing", "{asked}");
    // Jobs of the cluster's own and of other tests may be there too.
    let signing = ["jobs", "list", "--kind", "signCertificate"];
    let queued = [&signing[..], &["--state", "queued"]].concat();
    let waiting = told(&cluster, &queued)?;
    let waiting = waiting.as_array().context("no list")?;
    ensure!(waiting.len() == 1, "{waiting:?}");
    let key = waiting[0]["key"].as_str().context("no key")?;
    ensure!(
        url.ends_with(key.strip_prefix("sign/").context("another job")?),
        "{key} is not of {url}"
    );
    let shown = told(&cluster, &["jobs", "show", key])?;
    ensure!(shown == waiting[0], "{shown}");
    // Other kinds go on.
    let other = [fresh_name("paused")];
    acme.ready_order(&account, &other, cluster.answers())
        .await?;

    drop(undo);
    let decided = acme.decided(&account, &url).await?;
    ensure!(decided.certificate.is_some(), "{decided:?}");
    let list = told(&cluster, &signing)?;
    ensure!(list == json!([]), "{list}");
    Ok(())
}

/// What a deactivated account had asked for is not looked at any more (RFC 8555 §7.3.6).
#[tokio::test]
async fn a_challenge_of_an_account_that_was_deactivated_meanwhile_is_not_looked_at() -> Result<()> {
    let cluster: Alone = Cluster::alone().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let (_, order) = acme
        .order_for(&account, &[fresh_name("deactivated")])
        .await?;
    let url = &order.authorizations[0];
    let (_, challenge) = acme.challenge(&account, url, Proof::Http01).await?;

    let undo = Undo(&cluster, &["jobs", "resume", "validateChallenge"]);
    told(&cluster, &["jobs", "pause", "validateChallenge"])?;
    // Longer than the workers take to see it, and they see it all at once.
    sleep(Duration::from_secs(3)).await;
    acme.post(&account, &challenge.url, &json!({}))
        .await?
        .expect(200)?;
    let end = json!({ "status": "deactivated" });
    acme.post(&account, &account.url, &end).await?.expect(200)?;
    drop(undo);

    let id = url.rsplit('/').next().context("an id")?;
    let database = cluster.database().await?;
    let until = Instant::now() + SEEN_WITHIN;
    loop {
        let found = database.find("authorizations", doc! { "_id": id }).await?;
        let authorization = found.first().context("it is not there")?;
        if authorization.get_str("state")? == "invalid" {
            let text = authorization.to_string();
            ensure!(text.contains("the account is deactivated"), "{text}");
            return Ok(());
        }
        ensure!(Instant::now() < until, "{authorization}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_dead_job_is_shown_tried_again_and_put_away() -> Result<()> {
    let cluster: Alone = Cluster::alone().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("dead")], cluster.answers())
        .await?;
    let order = issued.order_url.rsplit('/').next().context("an id")?;
    let key = format!("sign/{order}");
    let said = refused(&cluster.certfleet(&["jobs", "retry", &key])?)?;
    ensure!(said.contains(&key), "{said}");

    // As if it had been given up.
    let database = cluster.database().await?;
    let now = DateTime::now();
    let error = doc! { "at": now, "attempt": 20_i64, "error": "the token is locked" };
    let dead = doc! {
        "$set": { "state": "dead", "died_at": now, "errors": [error] }, "$unset": { "finished_at": "" },
    };
    for act in ["retry", "discard"] {
        database
            .change("jobs", doc! { "_id": &key }, dead.clone())
            .await?;
        let list = succeeded(&cluster.certfleet(&["jobs", "list"])?)?;
        ensure!(
            list.contains(&key) && list.contains("the token is locked"),
            "{list}"
        );
        let changed = told(&cluster, &["jobs", act, &key])?;
        ensure!(changed["changed"] == json!([key]), "{changed}");
        let due = if act == "retry" { "done" } else { "discarded" };
        let until = Instant::now() + SEEN_WITHIN;
        while told(&cluster, &["jobs", "show", &key])?["state"] != due {
            ensure!(Instant::now() < until, "not {due}");
            sleep(Duration::from_millis(100)).await;
        }
    }
    let gone = cluster.certfleet(&["jobs", "show", "sign/none"])?;
    ensure!(gone.status.code() == Some(3), "{}", gone.status);
    Ok(())
}
