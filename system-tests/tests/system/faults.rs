//! Flows go on while workers are killed and API replicas restarted: nothing fails for a client that does as RFC 8555
//! says, nothing is stuck afterwards, and nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_supervisor::{ProcessEntry, Signal};
use certfleet_system_tests::acme::Account;
use certfleet_system_tests::{Cluster, Database, fresh_name};
use futures_util::future::try_join_all;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

const LASTS: Duration = Duration::from_secs(40);
const CLIENTS: usize = 8;
const KILL_EVERY: Duration = Duration::from_secs(2);
const RESTART_EVERY: Duration = Duration::from_secs(9);
const REPLICA_EVERY: Duration = Duration::from_secs(5);
/// Longer than an election and the driver's finding out.
const PRIMARY_EVERY: Duration = Duration::from_secs(9);
/// A killed worker's job waits for its lease; the next one may be killed with it as well.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a process may take to come back.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// Flows, one after the other, until the time is over. Gives the account and how many were done.
async fn flows(cluster: &Cluster, until: Instant) -> Result<(Account, usize)> {
    let acme = cluster.acme().await?.retrying(PATIENCE);
    let account = acme.new_account().await?;
    let mut done = 0;
    while Instant::now() < until {
        let name = [fresh_name("faults")];
        acme.issue(&account, &name, cluster.answers())
            .await
            .with_context(|| format!("flow {done} for {name:?}"))?;
        done += 1;
    }
    Ok((account, done))
}

/// Signals the two of a kind by turns, one every so often, and waits each time until the successor is ready. Gives how
/// many it were.
async fn strike(
    cluster: &Cluster,
    service: &str,
    signal: Signal,
    every: Duration,
    until: Instant,
) -> Result<usize> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, when there is nothing to strike.
    ticks.tick().await;
    for (count, index) in [0, 1].into_iter().cycle().enumerate() {
        ticks.tick().await;
        if Instant::now() >= until {
            return Ok(count);
        }
        let pid = cluster.signal(service, index, signal)?;
        cluster
            .await_successor(service, index, pid, BACK_WITHIN)
            .await?;
    }
    Ok(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flow_fails_while_workers_are_killed_and_replicas_restarted() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let until = Instant::now() + LASTS;
    let (done, kills, restarts) = tokio::try_join!(
        try_join_all((0..CLIENTS).map(|_| flows(&cluster, until))),
        strike(&cluster, "worker", Signal::SIGKILL, KILL_EVERY, until),
        strike(&cluster, "api", Signal::SIGTERM, RESTART_EVERY, until),
    )?;
    let total: usize = done.iter().map(|(_, done)| done).sum();
    println!("{total} flows over {kills} kills of workers and {restarts} restarts of API replicas");
    ensure!(
        kills >= 12 && restarts >= 3,
        "{kills} kills, {restarts} restarts"
    );
    ensure!(total >= 2 * CLIENTS, "only {total} flows");

    all_is_right(&cluster, &done).await
}

/// What an API replica spends, and a worker claims, may be known to the primary alone when both die. No answer is no
/// promise, and what was promised stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flow_fails_while_replicas_and_the_primary_are_killed() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let until = Instant::now() + LASTS;
    let (done, replicas, primaries) = tokio::try_join!(
        try_join_all((0..CLIENTS).map(|_| flows(&cluster, until))),
        strike(&cluster, "api", Signal::SIGKILL, REPLICA_EVERY, until),
        kill_primaries(&cluster, until),
    )?;
    let total: usize = done.iter().map(|(_, done)| done).sum();
    println!("{total} flows over {replicas} kills of API replicas and {primaries} of the primary");
    ensure!(
        replicas >= 4 && primaries >= 2,
        "{replicas} kills of replicas, {primaries} of the primary"
    );
    ensure!(total >= 2 * CLIENTS, "only {total} flows");
    all_is_right(&cluster, &done).await
}

/// Kills whatever is the primary, again and again, each time when there is another and the killed member is back. Gives
/// how often.
async fn kill_primaries(cluster: &Cluster, until: Instant) -> Result<usize> {
    let database = cluster.database().await?;
    let mut kills = 0;
    loop {
        sleep(PRIMARY_EVERY).await;
        if Instant::now() >= until {
            return Ok(kills);
        }
        let address = database.primary().await?;
        let is_it = |process: &ProcessEntry| process.management.contains(&address);
        let killed = cluster.processes()?.into_iter().find(is_it);
        let killed = killed.with_context(|| format!("{address} is no process of the cluster"))?;
        cluster.signal("mongod", killed.index, Signal::SIGKILL)?;
        kills += 1;
        let back_by = Instant::now() + BACK_WITHIN;
        loop {
            // No primary for a while, and the file of the processes is replaced while it is read at times.
            let elected = database.primary().await.ok();
            let back = cluster.process("mongod", killed.index).ok();
            if elected.is_some_and(|primary| primary != address)
                && back.is_some_and(|process| process.pid != killed.pid)
            {
                break;
            }
            ensure!(Instant::now() < back_by, "no successor of {address}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Each account has as many certificates as flows were done, nothing is stuck, given up or there twice.
async fn all_is_right(cluster: &Cluster, done: &[(Account, usize)]) -> Result<()> {
    let database = cluster.database().await?;
    for (account, done) in done {
        let id = account.url.rsplit('/').next().context("an account's id")?;
        settled(&database, id).await?;
        accounted_for(&database, id, *done).await?;
    }
    nothing_twice(&database).await?;
    ensure!(
        database.count("jobs", doc! { "state": "dead" }).await? == 0,
        "jobs were given up"
    );
    Ok(())
}

/// Nothing of the account is under way any more.
async fn settled(database: &Database, account: &str) -> Result<()> {
    let until = Instant::now() + BACK_WITHIN;
    let processing = doc! { "account": account, "state.status": "processing" };
    let validating =
        doc! { "account": account, "state": "pending", "challenges.state.status": "processing" };
    loop {
        let orders = database.count("orders", processing.clone()).await?;
        let authorizations = database.count("authorizations", validating.clone()).await?;
        if orders + authorizations == 0 {
            return Ok(());
        }
        ensure!(
            Instant::now() < until,
            "{orders} orders and {authorizations} authorizations are stuck in processing"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// As many valid orders as flows were done, and as many issued certificates, each that of its order.
async fn accounted_for(database: &Database, account: &str, done: usize) -> Result<()> {
    let orders = database
        .find(
            "orders",
            doc! { "account": account, "state.status": "valid" },
        )
        .await?;
    let ordered: BTreeSet<&str> = orders
        .iter()
        .filter_map(|order| {
            order
                .get_document("state")
                .ok()?
                .get_str("certificate")
                .ok()
        })
        .collect();
    let certificates = database
        .find("certificates", doc! { "account": account })
        .await?;
    let issued: BTreeSet<&str> = certificates
        .iter()
        .filter(|one| status(one) == Some("issued"))
        .filter_map(|one| one.get_str("_id").ok())
        .collect();
    ensure!(
        issued.len() == certificates.len(),
        "certificates that were intended and not signed"
    );
    ensure!(
        ordered == issued,
        "orders and certificates do not go together"
    );
    ensure!(
        issued.len() == done,
        "{done} flows were done, {} certificates issued",
        issued.len()
    );
    Ok(())
}

fn status(certificate: &Document) -> Option<&str> {
    certificate
        .get_document("state")
        .ok()?
        .get_str("status")
        .ok()
}

/// No order has two certificates, and no serial number is there twice, in the whole database.
async fn nothing_twice(database: &Database) -> Result<()> {
    let certificates = database.find("certificates", doc! {}).await?;
    for field in ["order", "serial"] {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for certificate in &certificates {
            if let Ok(value) = certificate.get_str(field) {
                *seen.entry(value).or_default() += 1;
            }
        }
        ensure!(!seen.is_empty(), "no certificate has the field {field}");
        let twice: Vec<_> = seen.into_iter().filter(|(_, count)| *count > 1).collect();
        ensure!(twice.is_empty(), "{field}: {twice:?}");
    }
    Ok(())
}
