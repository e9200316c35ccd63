//! What the check costs. Figures for the documentation: `cargo test ... limits::cost -- --nocapture`.

use std::time::Duration;

use anyhow::{Result, ensure};
use bson::doc;
use certfleet_system_tests::acme::{Account, Acme};
use certfleet_system_tests::{Cluster, fresh_name};
use tokio::time::Instant;

use super::{Replicas, wish};

/// So many orders, one after the other.
const ORDERS: usize = 100;

/// The times of newOrders, sorted; all have to be answered like this.
async fn times(acme: &Acme, account: &Account, status: u16) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(ORDERS);
    for index in 0..ORDERS {
        let wish = wish(&[fresh_name(&format!("cost-{index}"))]);
        let began = Instant::now();
        let answer = acme
            .post(account, &acme.directory().new_order, &wish)
            .await?;
        times.push(began.elapsed());
        answer.expect(status)?;
    }
    times.sort_unstable();
    Ok(times)
}

#[tokio::test]
async fn three_documents_for_an_order_and_none_for_a_refusal() -> Result<()> {
    // Alone, for the sake of the figures.
    let cluster = Cluster::alone().await?;
    let replicas = Replicas::start(&cluster, "").await?;
    let [acme, _] = replicas.clients(&cluster).await?;
    let account = acme.new_account().await?;
    let database = cluster.database().await?;
    let off = times(&acme, &account, 201).await?;

    let generous = "orders_per_domain: 1000/1h, orders_per_name_set: 1000/1h";
    replicas
        .reload(&format!("{generous}, orders_per_account: 1000/1h"))
        .await?;
    let before = database.count("limits", doc! {}).await?;
    let on = times(&acme, &account, 201).await?;
    // One of the account, and two of each name: its domain's and its set's.
    let made = database.count("limits", doc! {}).await? - before;
    ensure!(made <= 1 + 2 * ORDERS as u64, "{made} documents");

    replicas.reload("orders_per_account: 1/10d").await?;
    let before = database.count("limits", doc! {}).await?;
    let refused = times(&acme, &account, 429).await?;
    ensure!(database.count("limits", doc! {}).await? == before);
    for (what, times) in [("off", off), ("on", on), ("refused", refused)] {
        let at = |percent: usize| times[(ORDERS - 1) * percent / 100].as_secs_f64() * 1e3;
        println!("{what}: p50 {:.1} ms, p95 {:.1} ms", at(50), at(95));
    }
    Ok(())
}
