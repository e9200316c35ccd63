//! The fleet: certificates from an authority that is not ours (Pebble), proven by the API's replicas, kept renewed by workers
//! that are killed at every step.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_crash_points::{CrashPoint, Strike, VARIABLE, arm, struck};
use certfleet_supervisor::Signal;
use certfleet_system_tests::{Cluster, Outsider, Plan, fresh_name};
use certfleet_testkit::{PebbleOptions, PebbleServer};
use mongodb::{Client, Collection};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{openssl, refused, succeeded};

/// A worker that was killed is followed after its lease, and then waits for an authority.
const PATIENCE: Duration = Duration::from_secs(60);
const LEASE: &str = "5s";
/// Where our own authority finds what the fleet shows.
const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 99, 0, 7);
const WORKER: &str = "certfleet-worker";

/// The places at which a renewal can be broken off.
const POINTS: [CrashPoint; 6] = [
    CrashPoint::RenewalBegun,
    CrashPoint::OrderPlaced,
    CrashPoint::ProofsShown,
    CrashPoint::RequestMade,
    CrashPoint::ChainDownloaded,
    CrashPoint::RenewalEnding,
];

struct Fleet<'c> {
    cluster: &'c Cluster,
    pebble: PebbleServer,
    key_file: PathBuf,
}

impl<'c> Fleet<'c> {
    /// With an authority `elsewhere` that wants accounts bound.
    async fn new(cluster: &'c Cluster, home: &Path) -> Result<Self> {
        let key = "c2l4dGVlbiBieXRlcyBvZiBhIGtleSBhdCBsZWFzdCE";
        let pebble = PebbleServer::start(&PebbleOptions {
            http01_port: cluster.plain_port(),
            dns: Some(cluster.answers().dns()),
            binding: Some(("ours".to_owned(), key.to_owned())),
        })
        .await;
        let key_file = home.join("eab");
        fs::write(&key_file, key)?;
        let fleet = Self {
            cluster,
            pebble,
            key_file,
        };
        succeeded(&fleet.add_upstream("elsewhere", &[])?)?;
        let again = refused(&fleet.add_upstream("elsewhere", &[])?)?;
        ensure!(again.contains("already"), "{again}");
        Ok(fleet)
    }

    fn add_upstream(&self, name: &str, more: &[&str]) -> Result<Output> {
        let (directory, root) = (self.pebble.directory(), self.pebble.root());
        let add = ["upstream", "add", name, "--directory", &directory];
        let trust = ["--root", text(&root)?];
        let bound = ["--eab-kid", "ours", "--eab-key-file", text(&self.key_file)?];
        self.cluster
            .certfleet(&[&add[..], &trust, &bound, more].concat())
    }

    fn certfleet(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.cluster.certfleet(&arguments)?;
        Ok(serde_json::from_str(&succeeded(&output)?)?)
    }

    /// Has a certificate for these names; gives its id.
    fn add(&self, names: &[&str]) -> Result<String> {
        self.add_from("elsewhere", names)
    }

    fn add_from(&self, upstream: &str, names: &[&str]) -> Result<String> {
        let arguments = [&["cert", "add"], names, &["--upstream", upstream]].concat();
        let added = self.certfleet(&arguments)?;
        Ok(added["id"].as_str().context("no id")?.to_owned())
    }

    /// Looks at it until it is so.
    async fn until(&self, id: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until_within(id, is, PATIENCE).await
    }

    async fn until_within(
        &self,
        id: &str,
        is: impl Fn(&Value) -> bool,
        within: Duration,
    ) -> Result<Value> {
        let until = Instant::now() + within;
        loop {
            let shown = self.certfleet(&["cert", "show", id])?;
            if is(&shown) {
                return Ok(shown);
            }
            ensure!(Instant::now() < until, "{shown}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// How often a worker has found that a renewal was another's meanwhile.
    fn lost_leases(&self) -> Result<usize> {
        let is_lost = |line: &&str| line.contains("lease was lost") && line.contains("renew/");
        let logs = self.cluster.processes()?;
        let workers = logs.iter().filter(|process| process.service == "worker");
        let count = workers.map(|worker| {
            let log = self.cluster.log_of("worker", worker.index);
            log.lines().filter(is_lost).count()
        });
        Ok(count.sum())
    }

    /// Waits until it has so many certificates, and rests.
    async fn versions(&self, id: &str, count: usize) -> Result<Value> {
        self.versions_within(id, count, PATIENCE).await
    }

    async fn versions_within(&self, id: &str, count: usize, within: Duration) -> Result<Value> {
        let has = |shown: &Value| {
            let versions = shown["versions"].as_array();
            versions.is_some_and(|versions| versions.len() == count) && shown["course"] == "resting"
        };
        self.until_within(id, has, within).await
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("path")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_another_authority_are_had_renewed_and_had_once_whatever_is_killed()
-> Result<()> {
    let points = tempfile::tempdir()?;
    let home = tempfile::tempdir()?;
    let plan = Plan::new("fleet")
        .with("CERTFLEET_WORKER_LEASE", LEASE)
        .with("CERTFLEET_ACME_RENEWAL_INFO_RETRY_AFTER", "1m")
        .with(VARIABLE, text(points.path())?);
    let cluster = Cluster::start(plan).await?;
    let fleet = Fleet::new(&cluster, home.path()).await?;
    let own = OwnAuthority::start(&fleet, home.path()).await?;

    let id = one_is_had_and_taken_out(&fleet, home.path()).await?;
    one_that_is_refused_is_tried_again(&fleet).await?;
    what_makes_no_sense_is_refused(&fleet)?;
    the_budget_is_kept_by_all_workers(&fleet).await?;
    killed_at_each_step(&fleet, &id, points.path()).await?;
    woken_late(&fleet, &id, points.path()).await?;
    own.has_seen_it_replaced(&fleet).await?;
    own.asks_for_all_to_be_replaced(&fleet).await?;

    let trail = succeeded(&cluster.certfleet(&["audit", "verify"])?);
    ensure!(trail.is_ok(), "{trail:?}");
    cluster.stop().await?;
    Ok(())
}

/// Our own authority as that of the fleet. It looks for what is shown at a port where others answer; so one API process more
/// listens there, at an address of its own, to which the name leads.
struct OwnAuthority {
    id: String,
    name: String,
    _api: Outsider,
}

impl OwnAuthority {
    async fn start(fleet: &Fleet<'_>, home: &Path) -> Result<Self> {
        let cluster = fleet.cluster;
        let api = Outsider::proving(cluster, OWN_ADDRESS, home).await?;
        let name = fresh_name("own");
        cluster.answers().add_address(&name, OWN_ADDRESS.into());
        // `certfleet up` has added it to the fleet.
        let id = fleet.add_from("own", &[&name])?;
        fleet.versions(&id, 1).await?;
        // What the authority suggests is asked at once.
        let advised = |shown: &Value| shown["suggested"].is_string();
        fleet.until(&id, advised).await?;
        Ok(Self {
            id,
            name,
            _api: api,
        })
    }

    /// The authority has the certificate down as replaced by another order, and refuses one that says it replaces it: it is
    /// ordered once more, without.
    async fn has_seen_it_replaced(&self, fleet: &Fleet<'_>) -> Result<()> {
        let cluster = fleet.cluster;
        let client = Client::with_uri_str(cluster.mongo_uri()).await?;
        let certificates: Collection<Document> = client
            .database(cluster.database_name())
            .collection("certificates");
        let replaced = doc! { "$set": { "replaced_by": "0".repeat(32) } };
        let done = certificates
            .update_many(doc! { "identifiers": &self.name }, replaced)
            .await?;
        ensure!(done.modified_count == 1, "{done:?}");
        fleet.certfleet(&["cert", "renew", &self.id])?;
        let renewed = fleet.versions(&self.id, 2).await?;
        ensure!(renewed["failures"] == 0, "{renewed}");
        Ok(())
    }

    /// The robot hears of it when it asks the next time, a minute later, and renews.
    async fn asks_for_all_to_be_replaced(&self, fleet: &Fleet<'_>) -> Result<()> {
        let why = "https://ca.example/incident";
        let replace = ["ca", "replace", "default", "--explanation-url", why];
        fleet.certfleet(&replace)?;
        let renewed = fleet.versions_within(&self.id, 3, 3 * PATIENCE).await?;
        ensure!(
            renewed["status"] == "valid" && renewed["failures"] == 0,
            "{renewed}"
        );
        // Acts are in the trail some seconds later.
        let told = format!("managed/{}", self.id);
        let until = Instant::now() + PATIENCE;
        loop {
            let trail = succeeded(&fleet.cluster.certfleet(&["audit", "export"])?)?;
            let mut lines = trail.lines().filter(|line| line.contains(&told));
            if lines.any(|line| line.contains("its authority suggests it")) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "it was renewed for another reason");
            sleep(Duration::from_millis(500)).await;
        }
    }
}

async fn one_is_had_and_taken_out(fleet: &Fleet<'_>, home: &Path) -> Result<String> {
    let (name, other) = (fresh_name("fleet"), fresh_name("fleet"));
    let id = fleet.add(&[&name, &other])?;
    let shown = fleet.versions(&id, 1).await?;
    ensure!(
        shown["status"] == "valid" && shown["upstream"] == "elsewhere" && shown["failures"] == 0,
        "{shown}"
    );
    let known = fleet.certfleet(&["upstream", "list"])?;
    ensure!(known[0]["account"].is_string(), "{known}");

    let (chain, key) = (home.join("chain.pem"), home.join("key.pem"));
    let export = [
        "cert",
        "export",
        &id,
        "--chain",
        text(&chain)?,
        "--key",
        text(&key)?,
    ];
    fleet.certfleet(&export)?;
    let of_chain = openssl(&["x509", "-in", text(&chain)?, "-noout", "-pubkey"])?;
    let of_key = openssl(&["pkey", "-in", text(&key)?, "-pubout"])?;
    ensure!(of_chain == of_key, "the key is another certificate's");
    let names = openssl(&[
        "x509",
        "-in",
        text(&chain)?,
        "-noout",
        "-ext",
        "subjectAltName",
    ])?;
    let names = String::from_utf8(names)?;
    ensure!(names.contains(&name) && names.contains(&other), "{names}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key)?.permissions());
    ensure!(mode & 0o777 == 0o600, "others may read the key: {mode:o}");

    // Each renewal has a key of its own.
    fleet.certfleet(&["cert", "renew", &id])?;
    let renewed = fleet.versions(&id, 2).await?;
    ensure!(renewed["serial"] != shown["serial"], "{renewed}");
    fleet.certfleet(&export)?;
    let of_next = openssl(&["pkey", "-in", text(&key)?, "-pubout"])?;
    ensure!(of_next != of_key, "the renewal has the former key");
    Ok(id)
}

async fn one_that_is_refused_is_tried_again(fleet: &Fleet<'_>) -> Result<()> {
    let id = fleet.add(&["blocked-domain.example"])?;
    let failed = fleet.until(&id, |shown| shown["failures"] == 1).await?;
    let trouble = failed["trouble"].as_str().unwrap_or_default();
    ensure!(trouble.contains("rejectedIdentifier"), "{failed}");
    ensure!(failed["status"] == "missing", "{failed}");
    let failing = fleet.certfleet(&["cert", "list", "--failing"])?;
    ensure!(failing[0]["id"] == id && failing[1].is_null(), "{failing}");
    // So is an authority that wants accounts bound, and is asked for one that is not.
    let (directory, root) = (fleet.pebble.directory(), fleet.pebble.root());
    let stranger = ["upstream", "add", "stranger", "--directory", &directory];
    fleet.certfleet(&[&stranger[..], &["--root", text(&root)?]].concat())?;
    let turned_away = fleet.add_from("stranger", &[&fresh_name("stranger")])?;
    let told = fleet
        .until(&turned_away, |shown| shown["failures"] == 1)
        .await?;
    let trouble = told["trouble"].as_str().unwrap_or_default();
    ensure!(trouble.contains("externalAccountRequired"), "{told}");
    // Nobody has to wait for the next try.
    fleet.certfleet(&["cert", "renew", &id])?;
    fleet.until(&id, |shown| shown["failures"] == 2).await?;
    Ok(())
}

/// Of many at once as many are ordered as the budget has; the others wait, which is no failure. What says what it replaces is
/// exempt.
async fn the_budget_is_kept_by_all_workers(fleet: &Fleet<'_>) -> Result<()> {
    const BUDGET: usize = 2;
    succeeded(&fleet.add_upstream("limited", &["--orders", "2/1h"])?)?;
    let before = fleet.pebble.orders();
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(fleet.add_from("limited", &[&fresh_name("budget")])?);
    }
    let mut had = Vec::new();
    for id in &ids {
        let decided = |shown: &Value| shown["status"] == "valid" || shown["trouble"].is_string();
        let shown = fleet.until(id, decided).await?;
        if shown["status"] == "valid" {
            had.push(id);
            continue;
        }
        let trouble = shown["trouble"].as_str().unwrap_or_default();
        ensure!(
            trouble.contains("budget of limited is used up: 2/1h"),
            "{shown}"
        );
        ensure!(shown["failures"] == 0, "{shown}");
    }
    let placed = fleet.pebble.orders() - before;
    ensure!(
        had.len() == BUDGET && placed == BUDGET,
        "{had:?}, {placed} orders"
    );
    fleet.certfleet(&["cert", "renew", had[0]])?;
    fleet.versions(had[0], 2).await?;
    Ok(())
}

fn what_makes_no_sense_is_refused(fleet: &Fleet<'_>) -> Result<()> {
    let certfleet = |arguments: &[&str]| fleet.cluster.certfleet(arguments);
    let nobody = certfleet(&["cert", "add", "a.example", "--upstream", "nobody"])?;
    ensure!(nobody.status.code() == Some(3), "{nobody:?}");
    let wildcard = certfleet(&["cert", "add", "*.a.example", "--upstream", "elsewhere"])?;
    ensure!(wildcard.status.code() == Some(1), "{wildcard:?}");
    let unknown = certfleet(&["cert", "show", &"0".repeat(32)])?;
    ensure!(unknown.status.code() == Some(3), "{unknown:?}");
    Ok(())
}

/// A worker is killed at each step of a renewal: it goes on from there, and one order is placed.
async fn killed_at_each_step(fleet: &Fleet<'_>, id: &str, points: &Path) -> Result<()> {
    for (done, point) in POINTS.into_iter().enumerate() {
        let before = fleet.pebble.orders();
        arm(points, WORKER, point, Strike::Kill)?;
        fleet.certfleet(&["cert", "renew", id])?;
        let shown = fleet.versions(id, 3 + done).await?;
        ensure!(
            struck(points, WORKER, point)?.is_some(),
            "nobody was killed at {}",
            point.name()
        );
        let placed = fleet.pebble.orders() - before;
        ensure!(placed == 1, "{}: {placed} orders, {shown}", point.name());
        ensure!(shown["failures"] == 0, "{}: {shown}", point.name());
    }
    Ok(())
}

/// A worker stands still, between writing that an order is to be placed and placing it, until another has had the certificate.
/// What it does when it wakes up is nothing.
async fn woken_late(fleet: &Fleet<'_>, id: &str, points: &Path) -> Result<()> {
    let point = CrashPoint::RenewalBegun;
    let before = fleet.pebble.orders();
    let (had, lost) = (3 + POINTS.len(), fleet.lost_leases()?);
    arm(points, WORKER, point, Strike::Pause)?;
    fleet.certfleet(&["cert", "renew", id])?;
    fleet.versions(id, had).await?;
    let asleep = struck(points, WORKER, point)?.context("nobody stands still")?;
    kill(Pid::from_raw(asleep), Signal::SIGCONT)?;
    let until = Instant::now() + PATIENCE;
    while fleet.lost_leases()? == lost {
        ensure!(Instant::now() < until, "it has not noticed");
        sleep(Duration::from_millis(100)).await;
    }
    let placed = fleet.pebble.orders() - before;
    ensure!(placed == 1, "{placed} orders");
    fleet.versions(id, had).await?;
    Ok(())
}
