//! A pool of database connections that is short (OPS-4): requests are refused before they wait, probes go on answering,
//! and the service recovers by itself.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::ProblemKind::ServerInternal;
use certfleet_supervisor::Signal;
use certfleet_system_tests::acme::{Account, Acme, identifiers};
use certfleet_system_tests::{Cluster, Outsider, fresh_name};
use futures_util::future::{join_all, try_join_all};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const CLIENTS: usize = 4;
/// How often each asks.
const EVERY: Duration = Duration::from_millis(50);
/// How long the primary stands still; about as long as an election takes.
const STANDSTILL: Duration = Duration::from_secs(3);
/// How long a probe or a refusal may take, on a machine that does other things as well.
const AT_ONCE: Duration = Duration::from_secs(1);
const RECOVERED_WITHIN: Duration = Duration::from_secs(30);

/// Goes on whatever happens to the test.
struct Stopped(Pid);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// Asks for orders until then, again and again, whether or not the former ones are answered; gives how often that was
/// refused at once, by `Retry-After` in seconds.
async fn ask_on(client: &Acme, account: &Account, until: Instant) -> Result<BTreeMap<u64, usize>> {
    let mut asked = JoinSet::new();
    while Instant::now() < until {
        let (client, account) = (client.clone(), account.clone());
        asked.spawn(async move { ask(&client, &account).await });
        sleep(EVERY).await;
    }
    let mut refusals = BTreeMap::new();
    while let Some(wait) = asked.join_next().await {
        if let Some(wait) = wait?? {
            *refusals.entry(wait).or_default() += 1;
        }
    }
    Ok(refusals)
}

/// Asks for an order; gives `Retry-After` if that was refused for want of connections.
async fn ask(client: &Acme, account: &Account) -> Result<Option<u64>> {
    let payload = json!({ "identifiers": identifiers(&[fresh_name("pressure")]) });
    let url = client.directory().new_order.clone();
    let began = Instant::now();
    let answer = client.post(account, &url, &payload).await?;
    let detail = answer.text();
    // Others were let through, and waited for the database.
    if answer.status == 201 || !detail.contains("overloaded") {
        return Ok(None);
    }
    ensure!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let wait = answer.retry_after().context("no Retry-After")?.as_secs();
    answer.expect_problem(503, ServerInternal)?;
    Ok(Some(wait))
}

/// Asks the probes until then; gives what they say while the service is not ready.
async fn probe_on(api: &Outsider, until: Instant) -> Result<Vec<String>> {
    let mut unready = Vec::new();
    while Instant::now() < until {
        for probe in ["/livez", "/readyz", "/healthz"] {
            let (status, said, took) = api.probe(probe).await?;
            ensure!(took < AT_ONCE, "{probe} took {took:?}");
            ensure!(probe != "/livez" || status == 200, "{said}");
            if status == 503 {
                unready.push(said);
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(unready)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_starved_pool_refuses_at_once_and_recovers_by_itself() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let database = cluster.database().await?;
    let home = tempfile::tempdir()?;
    let log = home.path().join("log");
    let settings = [("CERTFLEET_DATABASE_MAX_POOL_SIZE", OsStr::new("4"))];
    let mut api = Outsider::start(&cluster, "api", &settings, home.path(), &log)?;
    api.await_probe("/readyz", |status, _| status == 200)
        .await?;
    let directory = api.directory();
    let clients = (0..CLIENTS).map(async |_| Acme::connect(cluster.http()?, &directory).await);
    let clients = try_join_all(clients).await?;
    let mut accounts = Vec::new();
    for client in &clients {
        accounts.push(
            client
                .clone()
                .retrying(RECOVERED_WITHIN)
                .new_account()
                .await?,
        );
    }

    // Nonces enough, so that what is refused is refused for the request itself.
    for client in &clients {
        for _ in 0..2 * STANDSTILL.as_millis() / EVERY.as_millis() {
            client.keep(client.new_nonce().await?);
        }
    }
    let address = database.primary().await?;
    let processes = cluster.processes()?;
    let primary = processes
        .iter()
        .find(|process| process.management.contains(&address))
        .with_context(|| format!("{address} is none of {processes:?}"))?;
    let pid = Pid::from_raw(primary.pid);
    kill(pid, Signal::SIGSTOP)?;
    let stopped = Stopped(pid);
    let until = Instant::now() + STANDSTILL;

    let load = join_all(
        clients
            .iter()
            .zip(&accounts)
            .map(|(client, account)| ask_on(client, account, until)),
    );
    let probes = probe_on(&api, until);
    let go_on = async {
        tokio::time::sleep_until(until).await;
        drop(stopped);
    };
    let (refusals, unready, ()) = tokio::join!(load, probes, go_on);
    let mut refused: BTreeMap<u64, usize> = BTreeMap::new();
    for refusals in refusals {
        for (wait, count) in refusals? {
            *refused.entry(wait).or_default() += count;
        }
    }
    println!("refused, by Retry-After: {refused:?}");
    ensure!(
        refused.values().sum::<usize>() >= 10 * CLIENTS
            && refused.keys().all(|wait| [2, 3, 5].contains(wait)),
        "refused, by Retry-After: {refused:?}"
    );
    let unready = unready?;
    ensure!(
        unready
            .iter()
            .any(|said| said.contains("size 4, available ")),
        "{unready:?}"
    );

    // By itself: nothing is restarted.
    api.await_probe("/readyz", |status, _| status == 200)
        .await?;
    // Those that were given up while they waited are not counted for ever.
    api.await_probe("/healthz", |_, said| said.contains("waiting 0"))
        .await?;
    for (client, account) in clients.iter().zip(&accounts) {
        let client = client.clone().retrying(RECOVERED_WITHIN);
        client.order_for(account, &[fresh_name("pressure")]).await?;
    }
    Ok(())
}
