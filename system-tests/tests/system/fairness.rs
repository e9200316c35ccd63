//! One account whose hosts never answer does not hold up the others.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use bson::doc;
use certfleet_system_tests::acme::Proof;
use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// An address that no other test uses.
const TAR_PIT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 99, 0, 2));
/// More than both workers have hands for.
const STUCK: usize = 200;
/// What a certificate takes on a busy machine; far less than it would wait behind the others.
const ISSUED_WITHIN: Duration = Duration::from_secs(8);

#[tokio::test]
async fn challenges_of_hosts_that_never_answer_do_not_hold_up_other_accounts() -> Result<()> {
    // Alone, so that what is slow is slow for this reason.
    let cluster = Cluster::alone().await?;
    let acme = cluster.acme().await?;
    let slow = acme.new_account().await?;
    let listener = TcpListener::bind((TAR_PIT, cluster.answers().http01().port())).await?;
    let tar_pit = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });

    let names: Vec<String> = (0..STUCK).map(|_| fresh_name("stuck")).collect();
    let mut asked = JoinSet::new();
    for names in names.chunks(50) {
        for name in names {
            cluster.answers().add_address(name, TAR_PIT);
        }
        let (_, order) = acme.order_for(&slow, names).await?;
        for authorization in &order.authorizations {
            let (_, challenge) = acme.challenge(&slow, authorization, Proof::Http01).await?;
            let (acme, slow) = (acme.clone(), slow.clone());
            asked.spawn(async move { acme.post(&slow, &challenge.url, &json!({})).await });
        }
    }
    // All of them are asked for, and as many are in hand as one account may have.
    let database = cluster.database().await?;
    let party = slow.url.rsplit('/').next().unwrap_or_default();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let of_it = doc! { "party": party, "state": { "$in": ["queued", "leased"] } };
        let leased = doc! { "party": party, "state": "leased" };
        let (waiting, in_hand) = (
            database.count("jobs", of_it).await?,
            database.count("jobs", leased).await?,
        );
        if waiting > 60 && in_hand >= 16 {
            break;
        }
        ensure!(
            Instant::now() < until,
            "{waiting} wait, {in_hand} are in hand"
        );
        sleep(Duration::from_millis(50)).await;
    }

    let other = acme.new_account().await?;
    for _ in 0..3 {
        let began = Instant::now();
        acme.issue(&other, &[fresh_name("quick")], cluster.answers())
            .await?;
        let took = began.elapsed();
        ensure!(took < ISSUED_WITHIN, "it took {took:?}");
    }
    let left = doc! { "party": party, "state": { "$in": ["queued", "leased"] } };
    ensure!(
        database.count("jobs", left).await? > 0,
        "nothing was in the way"
    );
    // What is stuck fails by itself.
    asked.abort_all();
    tar_pit.abort();
    let until = Instant::now() + Duration::from_secs(90);
    let open = doc! { "party": party, "state": { "$in": ["queued", "leased"] } };
    while database.count("jobs", open.clone()).await? > 0 {
        ensure!(Instant::now() < until, "they never end");
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
