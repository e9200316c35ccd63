//! Names of the fleet that are proven by dns-01, in a zone of a real Knot that takes signed updates, to an authority that is not
//! ours (Pebble).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_system_tests::{Cluster, fresh_name, openssl};
use certfleet_testkit::{KNOT_KEY, KNOT_KEY_NAME, KnotServer, PebbleOptions, PebbleServer};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{refused, succeeded};

const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);

/// A zone that the fleet may change, and an authority that looks there.
struct Zoned<'c> {
    cluster: &'c Cluster,
    home: PathBuf,
    zone: String,
    knot: KnotServer,
    upstream: String,
    pebble: PebbleServer,
}

impl<'c> Zoned<'c> {
    async fn new(cluster: &'c Cluster, home: &Path) -> Result<Self> {
        let zone = fresh_name("zone");
        let knot = KnotServer::start(&zone).await;
        let pebble = PebbleServer::start(&PebbleOptions {
            dns: Some(knot.address()),
            ..PebbleOptions::default()
        })
        .await;
        let upstream = zone.split('.').next().context("a label")?.to_owned();
        let zoned = Self {
            cluster,
            home: home.to_owned(),
            zone,
            knot,
            upstream,
            pebble,
        };
        let (directory, root) = (zoned.pebble.directory(), zoned.pebble.root());
        let root = root.to_str().context("path")?;
        let add = [
            "upstream",
            "add",
            &zoned.upstream,
            "--directory",
            &directory,
        ];
        zoned.certfleet(&[&add[..], &["--root", root]].concat())?;
        Ok(zoned)
    }

    fn certfleet(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cluster.certfleet(&[arguments, &["--json"]].concat())?;
        Ok(serde_json::from_str(&succeeded(&output)?)?)
    }

    /// Adds the zone, with this key.
    fn add_solver(&self, key: &str) -> Result<std::process::Output> {
        let file = self.home.join("tsig");
        fs::write(&file, format!("{key}\n"))?;
        let (server, file) = (self.knot.address().to_string(), file.display().to_string());
        self.cluster.certfleet(&[
            "solver",
            "add",
            &self.upstream,
            "--zone",
            &self.zone,
            "--server",
            &server,
            "--key-name",
            KNOT_KEY_NAME,
            "--key-file",
            &file,
        ])
    }

    fn add(&self, names: &[&str]) -> Result<String> {
        let upstream = ["--upstream", &self.upstream];
        let added = self.certfleet(&[&["cert", "add"], names, &upstream].concat())?;
        Ok(added["id"].as_str().context("no id")?.to_owned())
    }

    async fn until(&self, id: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.certfleet(&["cert", "show", id])?;
            if is(&shown) {
                return Ok(shown);
            }
            ensure!(Instant::now() < until, "{shown}");
            sleep(PAUSE).await;
        }
    }

    async fn until_valid(&self, id: &str) -> Result<Value> {
        self.until(id, |shown| {
            shown["status"] == "valid" && shown["course"] == "resting"
        })
        .await
    }

    /// Waits until nothing of a proof is left under a name.
    async fn until_clean(&self, name: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let challenge = format!("_acme-challenge.{name}");
        while !self.knot.texts(&challenge).is_empty() {
            ensure!(Instant::now() < until, "{challenge} is left behind");
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_a_zone_are_proven_there_together_and_nothing_is_left_behind() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let home = tempfile::tempdir()?;
    let mut zoned = Zoned::new(&cluster, home.path()).await?;

    only_what_works_is_added(&zoned)?;
    a_wildcard_is_had(&zoned).await?;
    many_are_one_change(&zoned).await?;
    a_server_that_is_away_is_waited_for(&mut zoned).await?;
    Ok(())
}

fn only_what_works_is_added(zoned: &Zoned<'_>) -> Result<()> {
    let wildcard = format!("*.{}", zoned.zone);
    let early =
        zoned
            .cluster
            .certfleet(&["cert", "add", &wildcard, "--upstream", &zoned.upstream])?;
    let early = refused(&early)?;
    ensure!(early.contains("solver add"), "{early}");
    let wrong = refused(&zoned.add_solver("YW5vdGhlciBrZXkgb2YgbW9yZSB0aGFuIDE2IG9jdGV0cw==")?)?;
    ensure!(wrong.contains("nothing was added"), "{wrong}");
    let short = refused(&zoned.add_solver("c2hvcnQ=")?)?;
    ensure!(short.contains("16 octets"), "{short}");
    let serial = zoned.knot.serial();
    succeeded(&zoned.add_solver(KNOT_KEY)?)?;
    // A record went in, and out again.
    ensure!(zoned.knot.serial() == serial + 2, "it was not tried");
    let again = refused(&zoned.add_solver(KNOT_KEY)?)?;
    ensure!(again.contains("already"), "{again}");
    Ok(())
}

async fn a_wildcard_is_had(zoned: &Zoned<'_>) -> Result<()> {
    let (wildcard, other) = (format!("*.{}", zoned.zone), format!("a.b.{}", zoned.zone));
    let id = zoned.add(&[&wildcard, &zoned.zone, &other])?;
    zoned.until_valid(&id).await?;
    let (chain, key) = (zoned.home.join("chain.pem"), zoned.home.join("key.pem"));
    let (chain, key) = (chain.display().to_string(), key.display().to_string());
    zoned.certfleet(&["cert", "export", &id, "--chain", &chain, "--key", &key])?;
    let names = openssl(&["x509", "-in", &chain, "-noout", "-ext", "subjectAltName"])?;
    let names = String::from_utf8(names)?;
    for name in [&wildcard, &zoned.zone, &other] {
        ensure!(names.contains(&format!("DNS:{name}")), "{names}");
    }
    zoned.until_clean(&zoned.zone).await?;
    zoned.until_clean(&other).await
}

async fn many_are_one_change(zoned: &Zoned<'_>) -> Result<()> {
    const MANY: usize = 12;
    let before = zoned.knot.serial();
    let mut all = Vec::new();
    for number in 0..MANY {
        let name = format!("m{number}.{}", zoned.zone);
        all.push((zoned.add(&[&name])?, name));
    }
    for (id, name) in &all {
        let shown = zoned.until_valid(id).await?;
        ensure!(shown["failures"] == 0, "{shown}");
        zoned.until_clean(name).await?;
    }
    let changes = zoned.knot.serial() - before;
    ensure!(
        changes == 2,
        "{changes} changes of the zone for {MANY} certificates"
    );
    Ok(())
}

/// The server is gone when proofs are to be published: nothing fails, and what the trouble is is told.
async fn a_server_that_is_away_is_waited_for(zoned: &mut Zoned<'_>) -> Result<()> {
    zoned.knot.stop().await;
    let name = format!("late.{}", zoned.zone);
    let id = zoned.add(&[&name])?;
    let waits = |shown: &Value| {
        let meanwhile = shown["meanwhile"].as_str().unwrap_or_default();
        meanwhile.contains("is not published")
    };
    zoned.until(&id, waits).await?;
    zoned.knot.resume().await;
    let shown = zoned.until_valid(&id).await?;
    ensure!(shown["failures"] == 0, "{shown}");
    zoned.until_clean(&name).await
}
