//! A limit holds while the primary is killed: what was let through is a majority's.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_domain::ProblemKind;
use certfleet_supervisor::{ProcessEntry, Signal};
use certfleet_system_tests::{Cluster, fresh_name};
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::{Replicas, wish};

const LIMIT: usize = 60;
const CLIENTS: usize = 12;
/// Each of them asks so often; together more often than the limit allows.
const TIMES: usize = 12;
/// So many are answered when the primary is killed: some are through, and some are not.
const SOME: u32 = 20;
/// The member that was killed is back by then.
const BACK_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_too_many_gets_through_while_the_primary_is_killed() -> Result<()> {
    // Alone: it is everybody's primary.
    let cluster = Cluster::alone().await?;
    let limits = format!("orders_per_account: {LIMIT}/10d");
    let replicas = Replicas::start(&cluster, &limits).await?;
    let clients = replicas.clients(&cluster).await?;
    let accounts = replicas.account(&clients).await?;
    let database = cluster.database().await?;
    let address = database.primary().await?;
    let is_it = |process: &ProcessEntry| process.management.contains(&address);
    let primary = cluster.processes()?.into_iter().find(is_it);
    let primary = primary.context("the primary is no process of the cluster")?;

    let answered = Semaphore::new(0);
    let asked = (0..CLIENTS).map(async |number| {
        let (client, account) = (&clients[number % 2], &accounts[number % 2]);
        let url = &client.directory().new_order;
        let (mut made, mut unknown) = (0, 0);
        for _ in 0..TIMES {
            let answer = client
                .post(account, url, &wish(&[fresh_name("failover")]))
                .await;
            match answer {
                Ok(answer) if answer.status == 201 => made += 1,
                Ok(answer) if answer.status == 429 => {
                    answer.expect_problem(429, ProblemKind::RateLimited)?;
                }
                // Whether it was charged is not known.
                Ok(answer) if answer.status == 503 => unknown += 1,
                Ok(answer) => anyhow::bail!("{}: {}", answer.status, answer.text()),
                Err(_) => unknown += 1,
            }
            answered.add_permits(1);
        }
        Ok((made, unknown))
    });
    let kill = async {
        let _some = answered.acquire_many(SOME).await?;
        cluster.signal("mongod", primary.index, Signal::SIGKILL)?;
        let back_by = Instant::now() + BACK_WITHIN;
        // The file of the processes is replaced while it is read at times.
        while cluster
            .process("mongod", primary.index)
            .map_or(true, |process| process.pid == primary.pid)
        {
            ensure!(Instant::now() < back_by, "no successor of {address}");
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    };
    let (counts, ()) = tokio::try_join!(try_join_all(asked), kill)?;
    let made: usize = counts.iter().map(|(made, _)| made).sum();
    let unknown: usize = counts.iter().map(|(_, unknown)| unknown).sum();
    let id = accounts[0].url.rsplit('/').next().context("an id")?;
    let stored = database.count("orders", doc! { "account": id }).await?;
    println!("{made} orders let through, {stored} stored, {unknown} without a clear answer");
    let stored = usize::try_from(stored)?;
    ensure!((made..=LIMIT).contains(&stored), "{stored} orders");
    ensure!(
        made + unknown >= LIMIT,
        "only {made} orders, {unknown} unknown"
    );
    Ok(())
}
