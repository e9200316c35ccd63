//! What has to be true when a drill is over.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_domain::{Clock as _, ProblemKind, SystemClock};
use certfleet_system_tests::Database;
use certfleet_system_tests::acme::{Account, Acme};
use certfleet_system_tests::replicas::clients_of_each;
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use crate::figures::Figures;
use crate::ground::{Ground, PAUSE};
use crate::load::Record;
use crate::trail;

/// REL-2: after any single fault the backlog is gone within this.
const GONE_WITHIN: Duration = Duration::from_secs(300);

/// How many spent nonces are on their way to a replica at once.
const REPLAYED_AT_ONCE: usize = 16;

/// Everything: see the functions below. Adds what was counted.
pub async fn all_is_right(
    ground: &Ground,
    records: &[Record],
    figures: &mut Figures,
) -> Result<()> {
    let database = ground.database().await?;
    nothing_is_left(&database).await?;
    let certificates = database.find("certificates", doc! {}).await?;
    nothing_twice(&certificates)?;
    let dead = database.find("jobs", doc! { "state": "dead" }).await?;
    ensure!(dead.is_empty(), "jobs were given up: {dead:?}");
    let mut flows = 0;
    for record in records {
        flows += record.issued.len();
        as_it_was_told(&database, record, &certificates).await?;
    }
    figures.add("flows done, none failed", flows);
    figures.add("certificates doubled, lost or changed", 0);
    let replayed = no_nonce_is_taken_twice(ground, records).await?;
    figures.add("spent nonces replayed, all refused", replayed);
    let entries = trail::is_whole(ground, &database, &certificates).await?;
    figures.add("entries of the audit trail, which is whole", entries);
    let runs = runs_follow_each_other(&database).await?;
    figures.add(RUNS, runs);
    Ok(())
}

/// No order and no challenge waits, and no job does.
async fn nothing_is_left(database: &Database) -> Result<()> {
    let until = Instant::now() + GONE_WITHIN;
    let orders = doc! { "state.status": "processing" };
    let challenges = doc! { "state": "pending", "challenges.state.status": "processing" };
    let jobs = doc! { "state": { "$in": ["queued", "leased"] } };
    loop {
        let left = [
            database.count("orders", orders.clone()).await?,
            database.count("authorizations", challenges.clone()).await?,
            database.count("jobs", jobs.clone()).await?,
        ];
        if left == [0; 3] {
            return Ok(());
        }
        ensure!(
            Instant::now() < until,
            "orders, challenges and jobs that are stuck: {left:?}"
        );
        sleep(PAUSE).await;
    }
}

/// No order has two certificates, and no serial number is there twice, in the whole database.
fn nothing_twice(certificates: &[Document]) -> Result<()> {
    for field in ["order", "serial"] {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for certificate in certificates {
            if let Ok(value) = certificate.get_str(field) {
                *seen.entry(value).or_default() += 1;
            }
        }
        ensure!(!seen.is_empty(), "no certificate has the field {field}");
        seen.retain(|_, count| *count > 1);
        ensure!(seen.is_empty(), "{field}: twice: {seen:?}");
    }
    Ok(())
}

/// What a client was given is what is stored, to the octet: nothing was written over it later. And nothing was issued
/// to its account that it was not given.
async fn as_it_was_told(
    database: &Database,
    record: &Record,
    certificates: &[Document],
) -> Result<()> {
    let account = id_of(&record.account.url)?;
    let stored: BTreeMap<&str, &Document> = certificates
        .iter()
        .filter(|one| one.get_str("account").is_ok_and(|its| its == account))
        .filter_map(|one| Some((one.get_str("order").ok()?, one)))
        .collect();
    for (url, certificate) in &record.issued {
        let order = id_of(url)?;
        let one = stored
            .get(order)
            .with_context(|| format!("order {order}: its certificate is lost"))?;
        let state = one.get_document("state")?;
        ensure!(
            state
                .get_str("status")
                .is_ok_and(|status| status == "issued"),
            "order {order}: {state}"
        );
        ensure!(
            state.get_binary_generic("der")? == certificate,
            "order {order}: the certificate was changed after it was given out"
        );
    }
    ensure!(
        stored.len() == record.issued.len(),
        "account {account}: {} certificates, of which {} were given out",
        stored.len(),
        record.issued.len()
    );
    let valid = doc! { "account": account, "state.status": "valid" };
    let orders = database.count("orders", valid).await?;
    ensure!(
        orders == record.issued.len() as u64,
        "account {account}: {orders} valid orders, {} certificates",
        record.issued.len()
    );
    Ok(())
}

/// Whichever replica gets a nonce that was spent, it refuses it. Gives how often one was sent.
async fn no_nonce_is_taken_twice(ground: &Ground, records: &[Record]) -> Result<usize> {
    let replicas: Vec<Acme> = clients_of_each(ground, 1).await?.concat();
    let mut replayed = 0;
    for record in records {
        ensure!(!record.spent.is_empty(), "a client has spent no nonce");
        for nonces in record.spent.chunks(REPLAYED_AT_ONCE) {
            let mut under_way = Vec::new();
            for replica in &replicas {
                for nonce in nonces {
                    under_way.push(is_refused(replica, &record.account, nonce));
                }
            }
            replayed += try_join_all(under_way).await?.len();
        }
    }
    Ok(replayed)
}

async fn is_refused(replica: &Acme, account: &Account, nonce: &str) -> Result<()> {
    let answer = replica.read_with(account, &account.url, nonce).await?;
    answer.expect_problem(400, ProblemKind::BadNonce)?;
    Ok(())
}

fn id_of(url: &str) -> Result<&str> {
    url.rsplit('/').next().context("a URL without an id")
}

/// What is said of the runs.
pub const RUNS: &str = "runs of duties, none skipped or doubled";

/// Each time at which a duty was due is of one run: the runs, in order, each begin where the one before ended, and the last
/// is of now. Gives how many there are.
pub async fn runs_follow_each_other(database: &Database) -> Result<usize> {
    let mut all = 0;
    for (kind, every) in [
        ("recoverWork", 30),
        ("checkAuthorities", 60),
        ("sequenceEvents", 10),
        ("applyRetention", 60),
    ] {
        let runs = runs_until_now(database, kind, every).await?;
        for pair in runs.windows(2) {
            let ((_, due), (since, _)) = (pair[0], pair[1]);
            ensure!(
                since == due + every,
                "{kind}: after the run of {due} comes one since {since}: {runs:?}"
            );
        }
        all += runs.len();
    }
    Ok(all)
}

/// Since when and when each run of this kind was due, the oldest first; as soon as the last is of now.
async fn runs_until_now(database: &Database, kind: &str, every: i64) -> Result<Vec<(i64, i64)>> {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let jobs = database.find("jobs", doc! { "kind": kind }).await?;
        let mut runs: Vec<(i64, i64)> = jobs
            .iter()
            .map(|job| {
                let job = job.get_document("job")?;
                Ok((whole(job, "since")?, whole(job, "due")?))
            })
            .collect::<Result<_>>()?;
        runs.sort_unstable();
        let now = SystemClock.now().unix_timestamp();
        if runs.last().is_some_and(|(_, due)| now - due < every) {
            return Ok(runs);
        }
        ensure!(
            Instant::now() < until,
            "{kind}: it is {now}, and these are all runs: {runs:?}"
        );
        sleep(PAUSE).await;
    }
}

fn whole(document: &Document, field: &str) -> Result<i64> {
    let value = document.get(field).context("a field is missing")?;
    value
        .as_i64()
        .or_else(|| value.as_i32().map(i64::from))
        .with_context(|| format!("{field} is no number: {value}"))
}
