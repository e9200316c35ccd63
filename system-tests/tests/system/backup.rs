//! Backups of a cluster that works, and the way back into another replica set (DR-1).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Binary, Document, doc};
use certfleet_domain::SystemRng;
use certfleet_secrets::generate_kek_file;
use certfleet_supervisor::{MongodBinary, pick_free_ports};
use certfleet_system_tests::{Cluster, Database, fresh_name};
use certfleet_testkit::{PebbleOptions, PebbleServer, mongo_uri, tools_directory};
use mongodb::{Client, Collection};
use rand::RngCore as _;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::{refused, succeeded};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where a backup is put back: a database of the cluster's name in the replica set of the tests, which nobody else uses.
struct Elsewhere<'c> {
    cluster: &'c Cluster,
    uri: &'static str,
}

impl<'c> Elsewhere<'c> {
    async fn new(cluster: &'c Cluster) -> Result<Self> {
        let uri = mongo_uri().await;
        let elsewhere = Self { cluster, uri };
        elsewhere
            .client()
            .await?
            .database(cluster.database_name())
            .drop()
            .await?;
        Ok(elsewhere)
    }

    async fn client(&self) -> Result<Client> {
        Ok(Client::with_uri_str(self.uri).await?)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.cluster.command()?;
        command
            .env("CERTFLEET_DATABASE_URI", self.uri)
            .args(arguments);
        Ok(command)
    }

    fn certfleet(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(arguments)?.output()?)
    }

    async fn database(&self) -> Result<Database> {
        Database::connect(self.uri, self.cluster.database_name()).await
    }
}

fn json(output: &Output) -> Result<Value> {
    Ok(serde_json::from_str(&succeeded(output)?)?)
}

fn backup(cluster: &Cluster, file: &Path) -> Result<Value> {
    json(&cluster.certfleet(&["backup", "create", text(file), "--json"])?)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// Issues until it is to stop; tells how many there are so far.
async fn issue_until(
    cluster: &Cluster,
    stop: &CancellationToken,
    told: &watch::Sender<usize>,
) -> Result<()> {
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    while !stop.is_cancelled() {
        acme.issue(&account, &[&fresh_name("backup")], cluster.answers())
            .await?;
        told.send_modify(|done| *done += 1);
    }
    Ok(())
}

/// What is in the archive besides the product's own data, so that it has several chunks.
async fn fill(cluster: &Cluster, megabytes: u32) -> Result<()> {
    let client = Client::with_uri_str(cluster.mongo_uri()).await?;
    let filler: Collection<Document> = client
        .database(cluster.database_name())
        .collection("filler");
    for number in 0..megabytes {
        let mut octets = vec![0; 1 << 20];
        SystemRng.fill_bytes(&mut octets);
        let octets = Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: octets,
        };
        filler
            .insert_one(doc! { "_id": number, "octets": octets })
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_cluster_comes_back_whole_though_the_restore_is_killed() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("backup.tar");
    fill(&cluster, 40).await?;

    something_is_signed(&cluster).await?;
    killed_while_it_writes(&cluster, &file).await?;
    let stop = CancellationToken::new();
    let (told, mut issued) = watch::channel(0);
    let created = async {
        // Some are done when it begins, and more when it ends.
        issued.wait_for(|issued| *issued >= 3).await?;
        let created = tokio::task::block_in_place(|| backup(&cluster, &file));
        let before = *issued.borrow_and_update();
        issued.wait_for(|issued| *issued > before).await?;
        stop.cancel();
        created
    };
    let (went_on, created) = tokio::join!(issue_until(&cluster, &stop, &told), created);
    went_on?;
    let created = created?;
    let why = refused(&cluster.certfleet(&["backup", "create", text(&file)])?)?;
    ensure!(why.contains("is there already"), "{why}");
    let checked = json(&cluster.certfleet(&["backup", "check", text(&file), "--json"])?)?;
    ensure!(checked["manifest"] == created["manifest"], "{checked}");
    no_secret_is_in_clear(&cluster, &file).await?;

    rehearsed(&cluster, &file, &created).await?;
    rehearsed_with_another_authority(&cluster, &file).await?;

    let elsewhere = Elsewhere::new(&cluster).await?;
    let restore = ["backup", "restore", text(&file), "--json"];
    killed_in_the_middle(&elsewhere, &restore).await?;
    // Nothing works with half of it.
    let why = refused(&elsewhere.certfleet(&["ca", "list"])?)?;
    ensure!(why.contains("being restored"), "{why}");
    let restored = json(&elsewhere.certfleet(&restore)?)?;
    ensure!(restored["documents"] == created["documents"], "{restored}");
    ensure!(
        restored["missing_keks"] == serde_json::json!([]),
        "{restored}"
    );
    is_one_moment(&elsewhere.database().await?, &created).await?;

    // It works: its keys open, its audit trail is whole, and has more than it was backed up with.
    succeeded(&elsewhere.certfleet(&["ca", "test-sign", "default"])?)?;
    let trail = json(&elsewhere.certfleet(&["audit", "verify", "--json"])?)?;
    ensure!(
        trail["entries"] == created["manifest"]["audit"]["entries"],
        "{trail}"
    );

    // A second time it is not empty; told so, it is dropped.
    let why = refused(&elsewhere.certfleet(&restore)?)?;
    ensure!(why.contains("not empty"), "{why}");
    let replaced = json(&elsewhere.certfleet(&[&restore[..], &["--replace"]].concat())?)?;
    ensure!(replaced["documents"] == created["documents"], "{replaced}");
    // Not while others work with it.
    let why = refused(&cluster.certfleet(&["backup", "restore", text(&file), "--replace"])?)?;
    ensure!(why.contains("stop all services"), "{why}");
    let mut other_name = elsewhere.command(&restore)?;
    other_name.env("CERTFLEET_DATABASE_NAME", "another");
    let why = refused(&other_name.output()?)?;
    ensure!(why.contains("bound to the name"), "{why}");
    broken_ones_are_refused(&elsewhere, &file).await
}

/// The worst day, rehearsed: with the KEK a certificate is issued from the backup, without it nothing is.
async fn rehearsed(cluster: &Cluster, file: &Path, created: &Value) -> Result<()> {
    let mongod = MongodBinary::find(None, &tools_directory()).await?;
    let mongod = mongod.path().display().to_string();
    let (report, kek) = (file.with_extension("report"), file.with_extension("kek"));
    let drill = [
        "dr",
        "drill",
        text(file),
        "--mongod",
        &mongod,
        "--json",
        "--report",
        text(&report),
    ];
    let drill = |kek: Option<&Path>| -> Result<Output> {
        let mut command = cluster.command()?;
        if let Some(kek) = kek {
            command.env("CERTFLEET_KEK_FILE", kek);
        }
        Ok(command.args(drill).output()?)
    };
    let passed = json(&drill(None)?)?;
    ensure!(passed["documents"] == created["documents"], "{passed}");
    ensure!(
        passed["audit"]["entries"] == created["manifest"]["audit"]["entries"],
        "{passed}"
    );
    let note = fs::read_to_string(&report)?;
    ensure!(note.starts_with("certfleet report\n{"), "{note}");
    for part in ["authorities", "queue", "worker"] {
        ensure!(passed["health"][part]["status"] == "ok", "{passed}");
    }
    ensure!(passed["upstream"].is_null(), "{passed}");
    let key = succeeded(&cluster.certfleet(&["audit", "key"])?)?;
    let (name, _) = key.split_once('+').context("no key")?;
    ensure!(note.contains(&format!("\n\u{2014} {name} ")), "{note}");

    generate_kek_file(&kek, &mut SystemRng)?;
    fs::remove_file(&report)?;
    let why = refused(&drill(Some(&kek))?)?;
    let lacking = created["manifest"]["keks"][0].as_str().context("no KEK")?;
    ensure!(why.contains(lacking), "{why}");
    ensure!(!report.exists(), "a drill that failed has a report");
    Ok(())
}

/// Another authority is asked as well: Pebble, which wants accounts bound, and has no good word for a stranger.
async fn rehearsed_with_another_authority(cluster: &Cluster, file: &Path) -> Result<()> {
    let mongod = MongodBinary::find(None, &tools_directory()).await?;
    let http01_port = pick_free_ports(1)?[0];
    let key = "c2l4dGVlbiBieXRlcyBvZiBhIGtleSBhdCBsZWFzdCE";
    let pebble = PebbleServer::start(&PebbleOptions {
        http01_port,
        dns: None,
        binding: Some(("ours".to_owned(), key.to_owned())),
    })
    .await;
    let key_file = file.with_extension("eab");
    let drill = |arguments: &[&str]| -> Result<Output> {
        let mut command = cluster.command()?;
        command
            .args(["dr", "drill", text(file), "--json", "--mongod"])
            .arg(mongod.path())
            .args(["--upstream", &pebble.directory()])
            .args(["--upstream-http01-port", &http01_port.to_string()])
            .arg("--upstream-root")
            .arg(pebble.root())
            .args(arguments);
        Ok(command.output()?)
    };
    let name = ["--upstream-name", "127.0.0.1"];
    let bound = ["--upstream-eab-kid", "ours", "--upstream-eab-key-file"];
    let bound = [&name[..], &bound, &[text(&key_file)]].concat();
    fs::write(&key_file, "not a key\n")?;
    let why = refused(&drill(&bound)?)?;
    ensure!(why.contains("base64url"), "{why}");
    fs::write(&key_file, format!("{key}\n"))?;
    let passed = json(&drill(&bound)?)?;
    let issuer = passed["upstream"]["issuer"].as_str().unwrap_or_default();
    ensure!(issuer.contains("Pebble"), "{passed}");
    ensure!(passed["upstream"]["names"] == serde_json::json!(["127.0.0.1"]));
    ensure!(passed["certificate"]["serial"].is_string(), "{passed}");

    // Bound to nobody, it fails, and says who refused it.
    let why = refused(&drill(&name)?)?;
    ensure!(
        why.contains(&pebble.directory()) && why.contains("externalAccountRequired"),
        "{why}"
    );
    // Before anything is started.
    let wildcard = refused(&drill(&["--upstream-name", "*.example.org"])?)?;
    ensure!(wildcard.contains("wildcard"), "{wildcard}");
    let nameless = drill(&[])?;
    ensure!(nameless.status.code() == Some(2), "{nameless:?}");
    Ok(())
}

/// A drill's report is signed with the audit trail's key, which there is some seconds after the first act; and another test
/// may have taken all of the trail away.
async fn something_is_signed(cluster: &Cluster) -> Result<()> {
    let acme = cluster.acme().await?;
    acme.new_account().await?;
    let until = Instant::now() + PATIENCE;
    while !cluster
        .certfleet(&["audit", "checkpoint"])?
        .status
        .success()
    {
        ensure!(Instant::now() < until, "nothing is signed");
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// It leaves nothing that could be taken for a backup, and nothing that is in the way of the next.
async fn killed_while_it_writes(cluster: &Cluster, file: &Path) -> Result<()> {
    let mut command = cluster.command()?;
    command.args(["backup", "create", text(file)]);
    let mut child = command.stderr(Stdio::null()).spawn()?;
    let part = PathBuf::from(format!("{}.part", file.display()));
    let until = Instant::now() + PATIENCE;
    while !fs::metadata(&part).is_ok_and(|part| part.len() > 0) {
        ensure!(child.try_wait()?.is_none(), "it was faster than the test");
        ensure!(Instant::now() < until, "it does not begin");
        sleep(Duration::from_millis(1)).await;
    }
    child.kill()?;
    ensure!(!child.wait()?.success());
    ensure!(
        !file.exists(),
        "half of a backup is there as if it were whole"
    );
    Ok(())
}

/// Kills a restore when some of it is there.
async fn killed_in_the_middle(elsewhere: &Elsewhere<'_>, restore: &[&str]) -> Result<()> {
    let mut child = elsewhere.command(restore)?.spawn()?;
    let database = elsewhere.database().await?;
    let until = Instant::now() + PATIENCE;
    loop {
        let progress = database.find("restore", doc! {}).await?;
        let done = progress.first().and_then(|one| one.get_array("done").ok());
        if done.is_some_and(|done| done.len() >= 2) {
            break;
        }
        ensure!(child.try_wait()?.is_none(), "it was faster than the test");
        ensure!(Instant::now() < until, "it does not begin");
        sleep(Duration::from_millis(2)).await;
    }
    child.kill()?;
    ensure!(!child.wait()?.success());
    Ok(())
}

/// All of it is of one moment: each order that is valid has its certificate, and each certificate its order.
async fn is_one_moment(database: &Database, created: &Value) -> Result<()> {
    for contents in created["manifest"]["collections"]
        .as_array()
        .context("no collections")?
    {
        let name = contents["name"].as_str().context("no name")?;
        // These go on in a database that works.
        if ["leases", "schema_migrations", "audit_outbox"].contains(&name) {
            continue;
        }
        let count = database.count(name, doc! {}).await?;
        ensure!(
            contents["documents"] == count,
            "{name}: {count}, {contents}"
        );
    }
    let texts = |documents: Vec<Document>, field: &str| -> BTreeSet<String> {
        let text = |document: &Document| Some(document.get_str(field).ok()?.to_owned());
        documents.iter().filter_map(text).collect()
    };
    let valid = doc! { "state.status": "valid" };
    let valid = texts(database.find("orders", valid).await?, "_id");
    // On a cluster that others have used, some are revoked.
    let signed = doc! { "$in": ["issued", "revoked"] };
    let issued = doc! { "state.status": signed, "order": { "$exists": true } };
    let issued = texts(database.find("certificates", issued).await?, "order");
    ensure!(
        !valid.is_empty() && valid == issued,
        "{valid:?} and {issued:?}"
    );
    Ok(())
}

async fn no_secret_is_in_clear(cluster: &Cluster, file: &Path) -> Result<()> {
    let kek = fs::read_to_string(cluster.kek_file())?;
    let archive = fs::read(file)?;
    ensure!(
        !contains(&archive, kek.trim().as_bytes()),
        "the KEK is in it"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file)?.permissions());
    ensure!(mode & 0o777 == 0o600, "others may read it: {mode:o}");
    // Uncompressed, no key is there as it is when it is opened.
    let unpacked = file.with_extension("d");
    fs::create_dir(&unpacked)?;
    let unpack = Command::new("tar")
        .arg("xf")
        .arg(file)
        .arg("-C")
        .arg(&unpacked)
        .status()?;
    ensure!(unpack.success(), "tar does not take it");
    let secrets: PathBuf = unpacked.join("secrets/000000.bson.zst");
    let secrets = Command::new("zstd").arg("-dc").arg(&secrets).output();
    let secrets = secrets
        .context("zstd is not there: `make test` installs it, or `apt-get install zstd`")?
        .stdout;
    ensure!(contains(&secrets, b"issuer-key/"), "not the secrets");
    let opened = cluster.opened_secrets().await?;
    for (name, secret) in opened {
        ensure!(!contains(&secrets, secret.expose()), "{name} is in clear");
    }
    Ok(())
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// One that is cut short, or of which a bit is not what it was: nothing is written.
async fn broken_ones_are_refused(elsewhere: &Elsewhere<'_>, file: &Path) -> Result<()> {
    let client = elsewhere.client().await?;
    client
        .database(elsewhere.cluster.database_name())
        .drop()
        .await?;
    let whole = fs::read(file)?;
    let broken = file.with_extension("broken");
    let mut bent = whole.clone();
    let middle = whole.len() / 2;
    bent[middle] ^= 1;
    for octets in [
        &whole[..middle],
        &whole[..whole.len() - 2048],
        &bent,
        b"hello",
    ] {
        fs::write(&broken, octets)?;
        let why = refused(&elsewhere.certfleet(&["backup", "restore", text(&broken)])?)?;
        ensure!(why.contains("is no whole backup"), "{why}");
    }
    let missing = elsewhere.certfleet(&["backup", "check", "/nowhere/backup.tar"])?;
    ensure!(missing.status.code() == Some(3), "{missing:?}");
    let left = client
        .database(elsewhere.cluster.database_name())
        .list_collection_names()
        .await?;
    ensure!(left.is_empty(), "something was written: {left:?}");
    Ok(())
}
