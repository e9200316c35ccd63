//! What `/metrics` tells (OPS-5): of the cluster the same on every process, whoever did the work; of each process what
//! it did itself; and nothing that is not known.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_supervisor::{ProcessEntry, Signal};
use certfleet_system_tests::acme::Proof;
use certfleet_system_tests::metrics::{Scrape, sum_of};
use certfleet_system_tests::{Alone, Cluster, fresh_name};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::succeeded;

/// How long a total may take to be seen everywhere, on a busy machine: it is read every 5 s.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// How long a scrape may take, whatever the database does.
const AT_ONCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// The collections whose size is told.
const COLLECTIONS: [&str; 4] = ["accounts", "orders", "authorizations", "certificates"];
/// All that is told of the cluster, by the names' beginnings.
const OF_THE_CLUSTER: [&str; 10] = [
    "certfleet_accounts",
    "certfleet_orders",
    "certfleet_authorizations",
    "certfleet_certificates",
    "certfleet_orders_processing",
    "certfleet_queue_depth{",
    "certfleet_queue_oldest_age_seconds{",
    "certfleet_jobs_dead{",
    "certfleet_leader_term",
    "certfleet_duty_last_due_timestamp_seconds{",
];

/// Sizes of the collections.
type Sizes = BTreeMap<&'static str, u64>;

async fn sizes(cluster: &Cluster) -> Result<Sizes> {
    let database = cluster.database().await?;
    let mut sizes = Sizes::new();
    for collection in COLLECTIONS {
        sizes.insert(collection, database.counted(collection).await?);
    }
    Ok(sizes)
}

/// The processes that tell of the cluster: APIs and schedulers.
fn tellers(cluster: &Cluster) -> Result<Vec<ProcessEntry>> {
    let mut processes = cluster.processes()?;
    processes.retain(|process| ["api", "scheduler"].contains(&process.service.as_str()));
    Ok(processes)
}

/// The sizes that a process tells; `None` if it does not tell them all.
fn told(scrape: &Scrape) -> Option<Sizes> {
    let sizes = COLLECTIONS.map(|collection| {
        let size = scrape.value(&format!("certfleet_{collection}"))?;
        // A count that is told as text and no more.
        Some((collection, size.to_string().parse().ok()?))
    });
    sizes.into_iter().collect()
}

/// Waits until every process that tells of the cluster tells all, and these sizes; gives what they told.
async fn all_tell(cluster: &Cluster, due: &Sizes) -> Result<Vec<Scrape>> {
    all_tell_what(cluster, async || Ok(due.clone())).await
}

/// The same, and what is due at the moment.
async fn all_tell_what(
    cluster: &Cluster,
    due: impl AsyncFn() -> Result<Sizes>,
) -> Result<Vec<Scrape>> {
    let until = Instant::now() + SEEN_WITHIN;
    let mut all = Vec::new();
    for process in tellers(cluster)? {
        loop {
            let due = due().await?;
            let scrape = Scrape::of(&process).await?;
            if told(&scrape).as_ref() == Some(&due) && untold(&scrape).is_empty() {
                all.push(scrape);
                break;
            }
            ensure!(
                Instant::now() < until,
                "{} {} does not tell {due:?} and all else, but {scrape:?}",
                process.service,
                process.index
            );
            sleep(PAUSE).await;
        }
    }
    Ok(all)
}

/// What of the cluster a scrape does not tell.
fn untold(scrape: &Scrape) -> Vec<&'static str> {
    let is_told = |name: &&str| scrape.series().any(|series| series.starts_with(*name));
    OF_THE_CLUSTER
        .into_iter()
        .filter(|name| !is_told(name))
        .collect()
}

const CERTIFIED: [(&str, &str); 4] = [
    (
        "worker",
        "certfleet_challenges_total{result=\"valid\",type=\"http-01\"}",
    ),
    (
        "worker",
        "certfleet_signatures_total{authority=\"default\",result=\"signed\"}",
    ),
    (
        "api",
        "certfleet_http_requests_total{method=\"POST\",route=\"/acme/{authority}/new-order\",status=\"201\"}",
    ),
    ("api", "certfleet_revocations_total{reason=\"superseded\"}"),
];

async fn sums(processes: &[ProcessEntry]) -> Result<Vec<f64>> {
    let mut sums = Vec::new();
    for (service, series) in CERTIFIED {
        sums.push(sum_of(processes, service, series).await?);
    }
    Ok(sums)
}

#[tokio::test]
async fn a_flow_adds_one_to_every_total_whichever_replica_is_asked() -> Result<()> {
    let cluster: Alone = Cluster::alone().await?;
    let acme = cluster.acme().await?;
    let before = sizes(&cluster).await?;
    all_tell(&cluster, &before).await?;
    let processes = cluster.processes()?;
    let counted = sums(&processes).await?;

    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("metrics")], cluster.answers())
        .await?;
    acme.revoke(&account, &issued.certificate, Some(4))
        .await?
        .expect(200)?;

    let due = before
        .iter()
        .map(|(name, size)| (*name, size + 1))
        .collect();
    ensure!(sizes(&cluster).await? == due, "something else was written");
    let all = all_tell(&cluster, &due).await?;
    ensure!(all.len() == 4, "{all:?}");
    let term = all[0].value("certfleet_leader_term");
    for scrape in &all {
        ensure!(scrape.value("certfleet_leader_term") == term, "{all:?}");
        for series in [
            "certfleet_orders_processing",
            "certfleet_queue_depth{kind=\"signCertificate\"}",
            "certfleet_queue_oldest_age_seconds{kind=\"signCertificate\"}",
            "certfleet_jobs_dead{kind=\"signCertificate\"}",
        ] {
            ensure!(scrape.value(series) == Some(0.0), "{series}: {scrape:?}");
        }
        for duty in ["recovery", "retention"] {
            let series = format!("certfleet_duty_last_due_timestamp_seconds{{duty=\"{duty}\"}}");
            let last = scrape.value(&series);
            ensure!(last.is_some_and(|at| at > 1.7e9), "{series}: {scrape:?}");
        }
    }
    let now = sums(&processes).await?;
    for ((series, before), now) in CERTIFIED.iter().zip(counted).zip(now) {
        let more = now - before;
        ensure!((more - 1.0).abs() < 0.5, "{series:?}: {before}, then {now}");
    }
    Ok(())
}

#[tokio::test]
async fn a_challenge_that_fails_is_counted_and_no_signature() -> Result<()> {
    const FAILED: &str = "certfleet_challenges_total{result=\"invalid\",type=\"http-01\"}";
    let cluster: Alone = Cluster::alone().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let processes = cluster.processes()?;
    let before = sum_of(&processes, "worker", FAILED).await?;
    let counted = sums(&processes).await?;
    let (_, order) = acme.order_for(&account, &[fresh_name("fails")]).await?;
    let url = &order.authorizations[0];
    let (_, challenge) = acme.challenge(&account, url, Proof::Http01).await?;
    // Nothing answers for it.
    acme.post(&account, &challenge.url, &json!({}))
        .await?
        .expect(200)?;
    let decided = |value: &Value| value["status"] != "pending";
    let value = acme.read_until(&account, url, SEEN_WITHIN, decided).await?;
    ensure!(value["status"] == "invalid", "{value}");
    // It is counted when it is written, which the client may hear of first.
    let until = Instant::now() + SEEN_WITHIN;
    loop {
        let more = sum_of(&processes, "worker", FAILED).await? - before;
        if more > 0.5 {
            ensure!(more < 1.5, "counted as {more}");
            break;
        }
        ensure!(Instant::now() < until, "not counted");
        sleep(PAUSE).await;
    }
    let now = sums(&processes).await?;
    ensure!(now[..2] == counted[..2], "{counted:?}, then {now:?}");
    Ok(())
}

#[tokio::test]
async fn a_dead_job_is_told_until_a_person_acts() -> Result<()> {
    let cluster: Alone = Cluster::alone().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("dead")], cluster.answers())
        .await?;
    let order = issued.order_url.rsplit('/').next().context("an id")?;
    let key = format!("sign/{order}");
    // As if it had been given up.
    let dead = doc! {
        "$set": { "state": "dead", "died_at": bson::DateTime::now() }, "$unset": { "finished_at": "" },
    };
    let database = cluster.database().await?;
    database.change("jobs", doc! { "_id": &key }, dead).await?;
    all_count_dead(&cluster, 1.0).await?;
    succeeded(&cluster.certfleet(&["jobs", "discard", &key])?)?;
    all_count_dead(&cluster, 0.0).await
}

async fn all_count_dead(cluster: &Cluster, due: f64) -> Result<()> {
    let series = "certfleet_jobs_dead{kind=\"signCertificate\"}";
    let until = Instant::now() + SEEN_WITHIN;
    for process in tellers(cluster)? {
        while Scrape::of(&process).await?.value(series) != Some(due) {
            ensure!(Instant::now() < until, "{process:?} does not tell {due}");
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_process_tells_of_itself_in_prometheus_format() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let mut told = 0;
    for process in cluster.processes()? {
        if !process.management.starts_with("http") {
            continue;
        }
        told += 1;
        let scrape = Scrape::of(&process).await?;
        let value = |series: &str| {
            let value = scrape.value(series);
            value.with_context(|| format!("{process:?}: no {series} in {scrape:?}"))
        };
        let version = env!("CARGO_PKG_VERSION");
        let service = format!("certfleet-{}", process.service);
        let build = format!("certfleet_build_info{{service=\"{service}\",version=\"{version}\"}}");
        ensure!(value(&build)? > 0.5, "{build}");
        ensure!(value("certfleet_uptime_seconds")? > 0.0, "{scrape:?}");
        ensure!(value("process_start_time_seconds")? > 1.7e9, "{scrape:?}");
        let (size, available) = (
            value("certfleet_db_pool_size")?,
            value("certfleet_db_pool_available")?,
        );
        ensure!(available > 0.5 && available <= size, "{scrape:?}");
        ensure!(value("certfleet_db_pool_open")? > 0.5, "{scrape:?}");
        ensure!(value("certfleet_db_pool_waiting")? >= 0.0, "{scrape:?}");
        // Of the cluster tell APIs and schedulers, and they alone.
        let tells = scrape.value("certfleet_accounts").is_some();
        ensure!(tells == (process.service != "worker"), "{scrape:?}");
    }
    ensure!(told == 6, "{told} processes tell");
    Ok(())
}

/// Goes on whatever happens to the test.
struct Stopped(Vec<Pid>);

impl Drop for Stopped {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(*pid, Signal::SIGCONT);
        }
    }
}

#[tokio::test]
async fn what_the_database_does_not_tell_is_absent_and_all_else_is_told_at_once() -> Result<()> {
    let cluster: Alone = Cluster::alone().await?;
    let before = sizes(&cluster).await?;
    all_tell(&cluster, &before).await?;

    // All members, so that none is elected.
    let members = cluster.processes()?;
    let members = members.iter().filter(|each| each.service == "mongod");
    let stopped = Stopped(members.map(|each| Pid::from_raw(each.pid)).collect());
    for pid in &stopped.0 {
        kill(*pid, Signal::SIGSTOP)?;
    }
    ensure!(stopped.0.len() == 3, "{:?}", stopped.0);
    for process in tellers(&cluster)? {
        let until = Instant::now() + SEEN_WITHIN;
        loop {
            let scrape = Scrape::of(&process).await?;
            ensure!(scrape.took < AT_ONCE, "it took {:?}", scrape.took);
            ensure!(
                scrape.value("certfleet_uptime_seconds").is_some(),
                "{scrape:?}"
            );
            match told(&scrape) {
                // Read a moment ago.
                Some(sizes) => ensure!(sizes == before, "{sizes:?} and not {before:?}"),
                None if untold(&scrape).len() == OF_THE_CLUSTER.len() => break,
                None => {}
            }
            ensure!(Instant::now() < until, "still told: {scrape:?}");
            sleep(PAUSE).await;
        }
    }

    // By itself: nothing is restarted. A leader is found again as well.
    drop(stopped);
    // Another may be the primary now, and one that was killed before, by another test, has its own count.
    all_tell_what(&cluster, async || sizes(&cluster).await).await?;
    Ok(())
}
