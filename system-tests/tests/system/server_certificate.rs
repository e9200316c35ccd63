//! The certificate that the API itself shows (OPS-10): one for all replicas, renewed while they serve, and never one
//! that has expired.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_system_tests::{Cluster, Outsider};
use reqwest::tls::TlsInfo;
use tokio::time::{Instant, sleep};

use crate::support::succeeded;

/// How long the certificates of this test are valid, in seconds.
const LIFETIME: i64 = 15;
/// Over two renewals.
const WATCHED: Duration = Duration::from_secs(26);

#[tokio::test]
async fn it_is_the_same_on_every_replica_and_renewed_before_it_expires() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let authority = "aged";
    succeeded(&cluster.certfleet(&["ca", "create", authority])?)?;
    let short = doc! { "$set": {
        "profiles.$[].lifetimeSeconds": LIFETIME, "profiles.$[].backdateSeconds": 0_i64,
    } };
    let database = cluster.database().await?;
    database
        .change("authorities", doc! { "_id": authority }, short)
        .await?;
    let directory = tempfile::tempdir()?;
    let root = directory.path().join("root.pem");
    let to = root.to_str().context("path")?;
    succeeded(&cluster.certfleet(&["ca", "root", authority, "--out", to])?)?;

    let mut replicas = Vec::new();
    for name in ["one", "two"] {
        let state = directory.path().join(name);
        std::fs::create_dir(&state)?;
        let log = directory.path().join(format!("{name}.log"));
        let settings = [("CERTFLEET_ACME_DEFAULT_AUTHORITY", OsStr::new(authority))];
        replicas.push(Outsider::start(&cluster, "api", &settings, &state, &log)?);
    }
    for replica in &mut replicas {
        replica
            .await_probe("/readyz", |status, _| status == 200)
            .await?;
    }

    let mut seen = [const { Vec::new() }; 2];
    let until = Instant::now() + WATCHED;
    while Instant::now() < until {
        for (replica, seen) in replicas.iter().zip(&mut seen) {
            // The client would refuse one that has expired.
            let shown = shown(replica, &root).await?;
            if seen.last() != Some(&shown) {
                seen.push(shown);
            }
        }
        sleep(Duration::from_millis(250)).await;
    }
    let [one, two] = &seen;
    ensure!(
        one.len() >= 3,
        "{} certificates in {WATCHED:?}, each valid for {LIFETIME} s",
        one.len()
    );
    // The second may have begun to look a moment later, or have renewed a moment earlier.
    let common = one.len().min(two.len());
    ensure!(
        one.len().abs_diff(two.len()) <= 1 && one[..common] == two[..common],
        "the replicas do not show the same certificates"
    );
    let made = doc! { "authority": authority };
    let made = database.count("certificates", made).await?;
    ensure!(
        made <= u64::try_from(common + 1)?,
        "{made} certificates were made for {common} that were shown"
    );
    Ok(())
}

/// The certificate that an API shows to a client that trusts this root.
async fn shown(replica: &Outsider, root: &Path) -> Result<Vec<u8>> {
    let client = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&std::fs::read(
            root,
        )?)?)
        .no_proxy()
        .tls_info(true)
        .build()?;
    let answer = client.get(replica.directory()).send().await?;
    let info = answer.extensions().get::<TlsInfo>().context("no TLS")?;
    Ok(info.peer_certificate().context("no certificate")?.to_vec())
}
