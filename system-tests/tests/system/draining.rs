//! A worker that is told to end while what it does takes longer than it may (JOB-7): it hands its jobs back, no attempt
//! is counted, and others finish them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_acme::key_authorization;
use certfleet_acme::messages::OrderResponse;
use certfleet_system_tests::acme::{Account, Acme, Proof};
use certfleet_system_tests::{Cluster, Outsider, fresh_name};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// An address that no other test uses.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 99, 0, 1));
/// How long the worker may go on with what it has in hand.
const DRAIN: Duration = Duration::from_secs(1);
/// How long it takes a worker to be counted among the living, and to get jobs.
const IN_HAND_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_a_worker_cannot_finish_in_time_is_handed_back_and_counts_as_no_attempt() -> Result<()>
{
    let cluster = Cluster::shared().await?;
    let database = cluster.database().await?;
    let directory = tempfile::tempdir()?;
    let before = ids(&database.find("processes", doc! {}).await?)?;
    let settings = [
        ("CERTFLEET_WORKER_DRAIN_TIMEOUT", OsStr::new("1s")),
        ("CERTFLEET_SERVER_SHUTDOWN_TIMEOUT", OsStr::new("1s")),
    ];
    let log = directory.path().join("log");
    let mut worker = Outsider::start(&cluster, "worker", &settings, directory.path(), &log)?;
    worker
        .await_probe("/readyz", |status, _| status == 200)
        .await?;
    let now = ids(&database.find("processes", doc! {}).await?)?;
    let come: Vec<&String> = now.difference(&before).collect();
    let [owner] = come[..] else {
        anyhow::bail!("{} processes have come", come.len());
    };

    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let (gate, slow) = slow_answers(&cluster, &account).await?;
    // Those of this test alone: what others ask for is done before it could be handed back.
    let party = account.url.rsplit('/').next().context("no id")?;
    let in_its_hands = doc! { "lease.owner": owner, "state": "leased", "party": party };
    let mut orders = Vec::new();
    let until = Instant::now() + IN_HAND_WITHIN;
    let in_hand = loop {
        let jobs = database.find("jobs", in_its_hands.clone()).await?;
        // Not only those it has begun with this very moment.
        if jobs.len() >= 2 {
            break jobs;
        }
        ensure!(
            Instant::now() < until,
            "of {} jobs it has {} in hand",
            orders.len(),
            jobs.len()
        );
        orders.push(begun(&cluster, &acme, &account).await?);
        sleep(Duration::from_millis(200)).await;
    };

    let (status, after) = worker.end().await?;
    ensure!(status.success(), "it ended with {status}");
    ensure!(
        after >= DRAIN && after < DRAIN + Duration::from_secs(5),
        "it ended after {after:?}"
    );
    ensure!(
        database.count("jobs", in_its_hands).await? == 0,
        "it has kept jobs in hand"
    );
    let keys: Vec<&str> = in_hand
        .iter()
        .map(|job| job.get_str("_id"))
        .collect::<Result<_, _>>()?;
    let handed_back = doc! { "_id": { "$in": &keys } };
    for job in database.find("jobs", handed_back.clone()).await? {
        let (state, attempt) = (job.get_str("state")?, job.get_i32("attempt")?);
        let due = i32::from(state != "queued");
        ensure!(
            attempt == due && job.get("errors").is_none(),
            "an attempt was counted: {job}"
        );
    }

    gate.send_replace(true);
    for (url, order) in &orders {
        let ready = |value: &serde_json::Value| value["status"] != "pending";
        let value = acme
            .read_until(&account, url, Duration::from_secs(60), ready)
            .await?;
        ensure!(value["status"] == "ready", "{value} of {order:?}");
    }
    for job in database.find("jobs", handed_back).await? {
        let done = (
            job.get_str("state")?,
            job.get_i32("attempt")?,
            job.get_i64("fence")?,
        );
        ensure!(
            done == ("done", 1, 2),
            "not done by the second claim and the first attempt: {job}"
        );
    }
    slow.abort();
    Ok(())
}

fn ids(documents: &[Document]) -> Result<BTreeSet<String>> {
    documents
        .iter()
        .map(|document| Ok(document.get_str("_id")?.to_owned()))
        .collect()
}

/// A new order for a name at [`ADDRESS`], whose challenge is taken up.
async fn begun(
    cluster: &Cluster,
    acme: &Acme,
    account: &Account,
) -> Result<(String, OrderResponse)> {
    let name = fresh_name("draining");
    cluster.answers().add_address(&name, ADDRESS);
    let (url, order) = acme.order_for(account, &[&name]).await?;
    let (_, challenge) = acme
        .challenge(account, &order.authorizations[0], Proof::Http01)
        .await?;
    let (acme, account) = (acme.clone(), account.clone());
    // Its answer is waited for by the replica, and of no interest here.
    tokio::spawn(async move { acme.post(&account, &challenge.url, &json!({})).await });
    Ok((url, order))
}

/// A web server at [`ADDRESS`] that accepts at once and answers, rightly, when the gate is open.
async fn slow_answers(
    cluster: &Cluster,
    account: &Account,
) -> Result<(watch::Sender<bool>, tokio::task::JoinHandle<()>)> {
    let (gate, open) = watch::channel(false);
    let listener = TcpListener::bind((ADDRESS, cluster.answers().http01().port())).await?;
    let thumbprint = account.thumbprint();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, open.clone(), thumbprint.clone()));
        }
    });
    Ok((gate, serving))
}

async fn answer(
    mut stream: TcpStream,
    mut open: watch::Receiver<bool>,
    thumbprint: String,
) -> Result<()> {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await?;
    open.wait_for(|open| *open).await?;
    let request = std::str::from_utf8(&request[..length])?;
    let token = request
        .split([' ', '/'])
        .skip_while(|part| *part != "acme-challenge")
        .nth(1)
        .context("no token")?;
    let body = key_authorization(token, &thumbprint);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(())
}
