//! How large CRLs are, how long they take to sign, and how soon one more revocation is listed, with so many revoked
//! certificates in a running cluster.
//!
//! The certificates are put into the database as a revocation leaves them there, all at once, under the issuer of a real
//! one. What signs, reads and serves the lists then is the cluster's own.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_domain::{CrlShard, Serial, SystemRng};
use certfleet_system_tests::acme::{Account, Acme, Issued};
use certfleet_system_tests::{Cluster, Plan, RelyingParty, fresh_name};
use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use mongodb::options::Hint;
use mongodb::{Client, Collection};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

/// How large CRLs are and how long they take to sign.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// How many revoked certificates; all is done for each number, on a cluster of its own.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    certificates: Vec<usize>,
}

/// How many are inserted at once.
const BATCH: usize = 2_000;
/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(1_800);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(measure(&cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn measure(cli: &Cli) -> Result<()> {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header([
        "revoked",
        "all listed after, s",
        "all signed anew, s",
        "a shard, kB: median (largest)",
        "one more is listed after, s",
    ]);
    for &many in &cli.certificates {
        let cluster = Cluster::start(Plan::new("revocation-load")).await?;
        let row = with(&cluster, many).await;
        cluster.stop().await?;
        table.add_row(row?);
    }
    Ok(writeln!(std::io::stdout().lock(), "{table}")?)
}

async fn with(cluster: &Cluster, many: usize) -> Result<[String; 5]> {
    let (acme, names) = (cluster.acme().await?, [fresh_name("pattern")]);
    let account = acme.new_account().await?;
    let issued = acme.issue(&account, &names, cluster.answers()).await?;
    acme.revoke(&account, &issued.certificate, Some(4))
        .await?
        .expect(200)?;
    let certificates = certificates(cluster).await?;
    let began = fill(&certificates, many).await?;
    let pattern = certificates
        .find_one(doc! { "state.status": "revoked" })
        .await?;
    let pattern = pattern.context("none is revoked")?;
    // By the index: to look for it in all of them would be a load of its own.
    let unlisted = doc! { "issuer": pattern.get_str("issuer")?, "unlisted": true };
    let left = || {
        certificates
            .find_one(unlisted.clone())
            .hint(Hint::Name("unlisted".to_owned()))
    };
    until(async || Ok(left().await?.is_none())).await?;
    let listed = began.elapsed();

    let output = cluster.certfleet(&["crl", "rebuild", "--json"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "crl rebuild: {said}");
    let rebuilt: Value = serde_json::from_slice(&output.stdout)?;
    let sizes = sizes(&RelyingParty::new(cluster.root(), &issued)?).await?;

    let another = acme.issue(&account, &names, cluster.answers()).await?;
    let soon = listed_after(cluster, &acme, &account, &another).await?;
    Ok([
        many.to_string(),
        format!("{:.1}", listed.as_secs_f64()),
        format!("{:.1}", rebuilt["seconds"].as_f64().context("no time")?),
        format!(
            "{} ({})",
            sizes[sizes.len() / 2] / 1000,
            sizes[sizes.len() - 1] / 1000
        ),
        format!("{:.1}", soon.as_secs_f64()),
    ])
}

async fn certificates(cluster: &Cluster) -> Result<Collection<Document>> {
    let client = Client::with_uri_str(cluster.mongo_uri()).await?;
    Ok(client
        .database(cluster.database_name())
        .collection("certificates"))
}

/// So many like the one that is revoked. Gives when the last one was there.
async fn fill(certificates: &Collection<Document>, many: usize) -> Result<Instant> {
    let revoked = doc! { "state.status": "revoked" };
    let mut pattern = certificates
        .find_one(revoked)
        .await?
        .context("none is revoked")?;
    // Each order has one certificate.
    pattern.remove("order");
    pattern.remove("account");
    pattern.insert("unlisted", true);
    let mut batch = Vec::with_capacity(BATCH);
    for number in 0..many {
        let mut one = pattern.clone();
        one.insert("_id", format!("{number:032x}"));
        one.insert("serial", Serial::generate(&mut SystemRng).to_string());
        batch.push(one);
        if batch.len() == BATCH || number + 1 == many {
            certificates.insert_many(std::mem::take(&mut batch)).await?;
        }
    }
    Ok(Instant::now())
}

/// The sizes of all shards in octets, the smallest first.
async fn sizes(party: &RelyingParty) -> Result<Vec<usize>> {
    let (base, _) = party.crl.rsplit_once('/').context("no path")?;
    let mut sizes = Vec::new();
    for shard in CrlShard::all() {
        let url = format!("{base}/{shard}.crl");
        let response = party.http.get(url).send().await?.error_for_status()?;
        sizes.push(response.bytes().await?.len());
    }
    sizes.sort_unstable();
    Ok(sizes)
}

/// How long it takes from a client's revocation until the CRL that the certificate names lists it.
async fn listed_after(
    cluster: &Cluster,
    acme: &Acme,
    account: &Account,
    issued: &Issued,
) -> Result<Duration> {
    let party = RelyingParty::new(cluster.root(), issued)?;
    let before = party.fetch_crl().await?.len();
    acme.revoke(account, &issued.certificate, Some(1))
        .await?
        .expect(200)?;
    let began = Instant::now();
    // Nobody else revokes anything.
    until(async || Ok(party.fetch_crl().await?.len() > before + 20)).await?;
    Ok(began.elapsed())
}

async fn until(done: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while !done().await? {
        ensure!(Instant::now() < until, "not done after {PATIENCE:?}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
