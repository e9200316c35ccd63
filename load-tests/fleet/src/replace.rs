//! A whole fleet is had, and had once more.

use std::time::Duration;

use anyhow::{Result, ensure};
use bson::{Document, doc};
use certfleet_storage::Unit;
use certfleet_system_tests::Cluster;
use comfy_table::Table;
use tokio::time::{Instant, sleep};

use crate::ground::Ground;
use crate::say;

const MANAGED: &str = "managed_certificates";
/// How long a killed process may take to be followed by another.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(60);

/// What is measured.
pub struct Terms {
    /// How many certificates.
    pub certificates: u32,
    /// How many of a hundred names cannot be proven at first.
    pub failing: u32,
    /// How often a process is killed, in seconds.
    pub kill_every: u64,
    /// Whether all are had once more.
    pub again: bool,
}

/// Measures it.
pub async fn measure(ground: &Ground, terms: &Terms, table: &mut Table) -> Result<()> {
    table.set_header(["what", "figure"]);
    let many = u64::from(terms.certificates);
    let failing = many * u64::from(terms.failing) / 100;
    let names: Vec<String> = (0..terms.certificates)
        .map(|number| format!("n{number}.d{}.fleet.test", number % 997))
        .collect();
    let (bad, good) = names.split_at(usize::try_from(failing)?);
    for name in bad {
        ground.cluster.answers().set_servfail(name, true);
    }
    let requests = requests(&ground.cluster).await?;
    let began = Instant::now();
    // So that what fails does not come first.
    ground.add(good, |_, _| Ok(Unit::default())).await?;
    ground.add(bad, |_, _| Ok(Unit::default())).await?;
    say(&format!(
        "{many} added in {:.0} s",
        began.elapsed().as_secs_f64()
    ))?;
    let had = doc! { "current.serial": { "$exists": true } };
    let working = async {
        ground.until(MANAGED, had.clone(), many - failing).await?;
        let seconds = began.elapsed().as_secs_f64();
        for name in bad {
            ground.cluster.answers().set_servfail(name, false);
        }
        Ok::<_, anyhow::Error>(seconds)
    };
    let (seconds, killed) = beside(working, &ground.cluster, terms.kill_every).await?;
    let rate = float(many - failing) / seconds;
    table.add_row([
        "had, with others failing beside them",
        &format!("{}", many - failing),
    ]);
    table.add_row(["a second", &format!("{rate:.1}")]);
    let with_setback = doc! { "setback.failures": { "$gte": 1 } };
    let managed = ground.collection(MANAGED);
    let failed = managed.count_documents(with_setback).await?;
    table.add_row([
        "whose names could not be proven meanwhile",
        &failed.to_string(),
    ]);
    // What failed is tried again by itself, a minute to a hundred later: a person need not wait.
    let now = doc! { "$set": { "forced": true, "next_at": bson::DateTime::now() }, "$inc": { "version": 1_i64 } };
    let resting = doc! { "current.serial": { "$exists": false }, "course.stage": "resting" };
    ground
        .collection(MANAGED)
        .update_many(resting, now.clone())
        .await?;
    ground.until(MANAGED, had.clone(), many).await?;
    let all = began.elapsed().as_secs_f64();
    table.add_row(["all of them, after", &format!("{all:.0} s")]);
    table.add_row(["processes killed or restarted", &killed.to_string()]);
    if killed == 0 {
        let asked = self::requests(&ground.cluster).await? - requests;
        table.add_row([
            "requests a certificate",
            &format!("{:.1}", float(asked) / float(many)),
        ]);
    }
    held_against(ground, many, 1, table).await?;
    if terms.again {
        let began = Instant::now();
        ground.collection(MANAGED).update_many(doc! {}, now).await?;
        ground.until("managed_versions", doc! {}, 2 * many).await?;
        let seconds = began.elapsed().as_secs_f64();
        table.add_row(["once more, all of them, after", &format!("{seconds:.0} s")]);
        table.add_row(["a second", &format!("{:.1}", float(many) / seconds)]);
        held_against(ground, many, 2, table).await?;
    }
    for service in ["worker", "api", "scheduler"] {
        let most = ground.most_memory(service)?;
        table.add_row([
            &format!("memory of a {service}, the most"),
            &format!("{most} MiB"),
        ]);
    }
    Ok(())
}

/// No certificate was had twice: for each name so many were signed as there were rounds, and each of them is kept.
async fn held_against(ground: &Ground, many: u64, rounds: u64, table: &mut Table) -> Result<()> {
    let its = doc! { "identifiers.0": { "$regex": "fleet\\.test$" } };
    let orders = ground
        .collection("orders")
        .count_documents(its.clone())
        .await?;
    let versions = ground
        .collection("managed_versions")
        .count_documents(doc! {})
        .await?;
    let doubled: Vec<Document> = {
        let stages = vec![
            doc! { "$match": its },
            doc! { "$group": { "_id": "$identifiers", "count": { "$sum": 1 } } },
            doc! { "$match": { "count": { "$ne": i64::try_from(rounds)? } } },
            doc! { "$limit": 5 },
        ];
        let mut cursor = ground.collection("certificates").aggregate(stages).await?;
        let mut found = Vec::new();
        while cursor.advance().await? {
            found.push(cursor.deserialize_current()?);
        }
        found
    };
    ensure!(
        doubled.is_empty(),
        "not as many certificates as rounds: {doubled:?}"
    );
    ensure!(
        versions == many * rounds,
        "{versions} versions of {many} certificates"
    );
    table.add_row([
        "orders placed so far, failed ones among them",
        &orders.to_string(),
    ]);
    table.add_row([
        "certificates signed for each name, and kept",
        &rounds.to_string(),
    ]);
    Ok(())
}

/// Does the work, while a worker is killed and an API replica restarted, again and again.
async fn beside<T>(
    work: impl Future<Output = Result<T>>,
    cluster: &Cluster,
    every: u64,
) -> Result<(T, u32)> {
    let mut killed = 0;
    if every == 0 {
        return Ok((work.await?, killed));
    }
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok((done?, killed)),
            () = sleep(Duration::from_secs(every)) => {
                let (service, signal) = if killed % 2 == 0 {
                    ("worker", certfleet_system_tests::Signal::SIGKILL)
                } else {
                    ("api", certfleet_system_tests::Signal::SIGTERM)
                };
                let pid = cluster.signal(service, killed / 2 % 2, signal)?;
                cluster.await_successor(service, killed / 2 % 2, pid, FOLLOWED_WITHIN).await?;
                killed += 1;
            }
        }
    }
}

async fn requests(cluster: &Cluster) -> Result<u64> {
    Ok(cluster.requests_answered().await?.values().sum())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn float(number: u64) -> f64 {
    number as f64
}
