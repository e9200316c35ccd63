//! How often a zone is changed for so many renewals: a real Knot, and an authority that is not ours (Pebble).

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_domain::{Clock as _, Identifier, Managed, ManagedId, SystemClock, SystemRng};
use certfleet_storage::Unit;
use certfleet_testkit::{KNOT_KEY, KNOT_KEY_NAME, KnotServer, PebbleOptions, PebbleServer};
use comfy_table::Table;
use tokio::time::{Instant, sleep};

use crate::ground::{Ground, LOOK};
use crate::say;

const ZONE: &str = "zone.fleet.test";
const UPSTREAM: &str = "elsewhere";
/// So many are added together.
const TOGETHER: usize = 100;

/// Measures it.
pub async fn measure(ground: &Ground, certificates: u32, table: &mut Table) -> Result<()> {
    let knot = KnotServer::start(ZONE).await;
    let options = PebbleOptions {
        dns: Some(knot.address()),
        ..PebbleOptions::default()
    };
    let pebble = PebbleServer::start(&options).await;
    prepare(ground, &knot, &pebble)?;
    let before = knot.serial();
    let began = Instant::now();
    add(ground, certificates).await?;
    say(&format!(
        "{certificates} are wanted after {:.1?}",
        began.elapsed()
    ))?;
    let wanted = u64::from(certificates);
    ground.until("managed_versions", doc! {}, wanted).await?;
    let had = began.elapsed();
    let into = knot.serial() - before;
    // Nothing is left behind.
    let proofs = ground.collection("dns_proofs");
    while proofs.count_documents(doc! {}).await? > 0 {
        sleep(LOOK).await;
    }
    let all = knot.serial() - before;
    let orders = u64::try_from(pebble.orders())?;
    ensure!(
        orders == wanted,
        "{orders} orders for {wanted} certificates"
    );
    table.set_header(["certificates in one zone", ""]);
    table.add_row(["had".to_owned(), format!("{wanted} after {had:.1?}")]);
    table.add_row([
        "changes of the zone until then".to_owned(),
        into.to_string(),
    ]);
    table.add_row(["changes of the zone in all".to_owned(), all.to_string()]);
    table.add_row([
        "gone from the zone after".to_owned(),
        format!("{:.1?}", began.elapsed()),
    ]);
    Ok(())
}

fn prepare(ground: &Ground, knot: &KnotServer, pebble: &PebbleServer) -> Result<()> {
    let certfleet = |arguments: &[&str]| {
        let done = ground.cluster.certfleet(arguments)?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(done.status.success(), "{said}");
        Ok(())
    };
    let root = pebble.root();
    let root = root.to_str().context("a path")?;
    let directory = pebble.directory();
    let add = ["upstream", "add", UPSTREAM, "--directory", &directory];
    certfleet(&[&add[..], &["--root", root]].concat())?;
    let key = ground.home.path().join("tsig");
    std::fs::write(&key, KNOT_KEY)?;
    let (server, key) = (knot.address().to_string(), key.display().to_string());
    let zone = ["solver", "add", "zone", "--zone", ZONE, "--server", &server];
    let by = ["--key-name", KNOT_KEY_NAME, "--key-file", &key];
    certfleet(&[&zone[..], &by].concat())
}

async fn add(ground: &Ground, certificates: u32) -> Result<()> {
    let all: Vec<u32> = (0..certificates).collect();
    for some in all.chunks(TOGETHER) {
        let mut unit = Unit::default();
        for number in some {
            let name: Identifier = format!("h{number}.{ZONE}").parse()?;
            let id = ManagedId::generate(&SystemClock, &mut SystemRng);
            let managed = Managed::new(id, vec![name], vec![UPSTREAM.parse()?], SystemClock.now());
            unit = unit.and(ground.store.fleet.insert(&managed)?);
        }
        ground.store.commit(unit).await?;
    }
    Ok(())
}
