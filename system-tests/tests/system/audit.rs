//! The audit trail: each act of a flow is in it, anybody with a checkpoint can tell that it is whole, and whoever changes
//! it in the database is found out.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Bson, Document, doc};
use certfleet_system_tests::acme::Acme;
use certfleet_system_tests::{Alone, Cluster, Database, Outsider, fresh_name};
use certfleet_testkit::tools_directory;
use mongodb::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{refused, succeeded};

/// What a person types, with the whole cluster behind it.
struct Trail {
    cluster: Alone,
    raw: mongodb::Database,
}

impl Trail {
    async fn start() -> Result<Self> {
        let cluster: Alone = Cluster::alone().await?;
        let client = Client::with_uri_str(cluster.mongo_uri()).await?;
        let raw = client.database(cluster.database_name());
        Ok(Self { cluster, raw })
    }

    fn audit(&self, arguments: &[&str]) -> Result<std::process::Output> {
        self.cluster.certfleet(&[&["audit"], arguments].concat())
    }

    fn says(&self, arguments: &[&str]) -> Result<String> {
        succeeded(&self.audit(arguments)?)
    }

    /// Waits until an act of this name is numbered and signed; gives all events.
    async fn until(&self, act: &str) -> Result<Vec<Value>> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let events = self.says(&["export"])?;
            let events: Vec<Value> = events
                .lines()
                .map(serde_json::from_str)
                .collect::<Result<_, _>>()?;
            let is_there = events.iter().any(|entry| entry["event"]["act"] == act);
            if is_there && self.signed().is_ok_and(|size| size >= events.len()) {
                return Ok(events);
            }
            ensure!(Instant::now() < until, "{act} is not in {events:#?}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many entries the last checkpoint is of.
    fn signed(&self) -> Result<usize> {
        let note = self.says(&["checkpoint"])?;
        Ok(note.lines().nth(1).context("no size")?.parse()?)
    }

    /// Verification has to find something wrong, and say this of it.
    fn is_found_out(&self, arguments: &[&str], why: &str) -> Result<()> {
        let output = self.audit(&[&["verify"], arguments].concat())?;
        ensure!(output.status.code() == Some(4), "{output:?}");
        let said = refused(&output)?;
        ensure!(said.contains(why), "{said:?} where {why:?} is due");
        Ok(())
    }

    fn log(&self) -> mongodb::Collection<Document> {
        self.raw.collection("audit_log")
    }
}

async fn issue_and_revoke(cluster: &Cluster) -> Result<()> {
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[&fresh_name("audit")], cluster.answers())
        .await?;
    let answer = acme.revoke(&account, &issued.certificate, None).await?;
    answer.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn each_act_is_on_record_and_whoever_changes_the_record_is_found_out() -> Result<()> {
    let trail = Trail::start().await?;
    issue_and_revoke(&trail.cluster).await?;
    let events = trail.until("certificate.revoke").await?;
    acts_are_there(&events)?;
    let held = trail.cluster.database().await?;
    ensure!(held.counted("audit_outbox").await? == 0, "not all numbered");

    // What is kept elsewhere.
    let kept = keep(&trail, "kept.checkpoint")?;
    let kept = kept.to_str().context("a path")?;
    let key = trail.says(&["key"])?;
    let key = key.trim();
    let first = trail.signed()?;
    trail.says(&["verify"])?;
    trail.says(&["verify", "--checkpoint", kept, "--key", key])?;
    proofs_hold(&trail, kept)?;

    // More is done; a person does something, too.
    let on = ["maintenance", "on", "--reason", "audit"];
    succeeded(&trail.cluster.certfleet(&on)?)?;
    succeeded(&trail.cluster.certfleet(&["maintenance", "off"])?)?;
    let events = trail.until("maintenance.end").await?;
    let begun = events
        .iter()
        .find(|entry| entry["event"]["act"] == "maintenance.begin")
        .context("no maintenance")?;
    let actor = begun["event"]["actor"].as_str().unwrap_or_default();
    ensure!(actor.starts_with("operator/"), "{begun}");
    let news = trail.says(&["verify", "--since", kept, "--key", key, "--json"])?;
    let news: Value = serde_json::from_str(&news)?;
    let read = news["entries"].as_u64().unwrap_or(0) - first as u64;
    ensure!(news["read"] == read && read > 0, "{news}");
    let servers = trail.says(&["list-servers"])?;
    ensure!(servers.contains("worker"), "{servers}");

    let later = what_was_kept_for_long_enough_goes(&trail, kept).await?;
    let later = later.to_str().context("a path")?;
    tampering_is_found_out(&trail, &held, later, key).await
}

fn keep(trail: &Trail, name: &str) -> Result<PathBuf> {
    let path = trail.cluster.data().join(name);
    fs::write(&path, trail.says(&["checkpoint"])?)?;
    Ok(path)
}

fn acts_are_there(events: &[Value]) -> Result<()> {
    for (number, entry) in events.iter().enumerate() {
        ensure!(entry["number"] == number, "{entry}");
    }
    for (act, actor) in [
        ("authority.create", "operator/"),
        ("secret.create", "service/api"),
        ("secret.create", "service/worker"),
        ("account.create", "key/"),
        ("order.create", "account/"),
        ("challenge.decide", "service/worker"),
        ("order.finalize", "account/"),
        ("certificate.issue", "service/worker"),
        ("certificate.revoke", "account/"),
    ] {
        let found = events.iter().map(|entry| &entry["event"]).find(|event| {
            let by = event["actor"].as_str().unwrap_or_default();
            event["act"] == act && by.starts_with(actor)
        });
        let event = found.with_context(|| format!("no {act} of {actor} is on record"))?;
        ensure!(event["outcome"] == "done", "{event}");
        if actor.starts_with("account/") {
            ensure!(event["address"] == "127.0.0.1", "{event}");
            ensure!(event["request"].is_string(), "{event}");
        }
    }
    Ok(())
}

fn proofs_hold(trail: &Trail, kept: &str) -> Result<()> {
    let key = trail.says(&["key"])?;
    for number in ["0", "1", "2"] {
        let proof = trail.says(&["prove", "--entry", number])?;
        let entry = trail.says(&["export", "--from", number, "--to", number])?;
        ensure!(tlog("entry", &key, &entry, &proof)?, "{number}: {proof}");
        let other = entry.replace("\"done\"", "\"refused\"");
        ensure!(!tlog("entry", &key, &other, &proof)?, "{other}");
    }
    let proof = trail.says(&["prove", "--extends", kept])?;
    ensure!(tlog("extends", &key, kept, &proof)?, "{proof}");
    Ok(())
}

/// Whether Go's own tools of transparency logs take a proof.
fn tlog(what: &str, key: &str, of: &str, proof: &str) -> Result<bool> {
    let program = tools_directory().join("go/tlog/certfleet-test-tlog");
    let mut child = Command::new(&program)
        .args([what, key.trim(), of.trim()])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{}: run scripts/get-test-tools", program.display()))?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(proof.as_bytes())?;
    drop(input);
    Ok(child.wait()?.success())
}

/// Gives a checkpoint of what is left.
async fn what_was_kept_for_long_enough_goes(trail: &Trail, kept: &str) -> Result<PathBuf> {
    // Receivers of other tests are gone, and would hold it up.
    let state = trail.raw.collection::<Document>("audit_state");
    let receivers = doc! { "_id": { "$regex": "^forwarded/" } };
    state.delete_many(receivers).await?;
    let trim = ["trim", "--before", "2100-01-01T00:00:00Z"];
    let said = refused(&trail.audit(&trim)?)?;
    ensure!(said.contains("nothing was done"), "{said}");
    let said = trail.says(&[&trim[..], &["--yes", "--json"]].concat())?;
    let gone: Value = serde_json::from_str(&said)?;
    let begins = gone["begins"].as_i64().context("no number")?;
    ensure!(begins > 0 && gone["gone"] == begins, "{gone}");
    trail.until("audit.trim").await?;
    let whole: Value = serde_json::from_str(&trail.says(&["verify", "--json"])?)?;
    ensure!(whole["begins"] == begins, "{whole}");
    let said = refused(&trail.audit(&["verify", "--checkpoint", kept])?)?;
    ensure!(said.contains(&format!("from entry {begins} on")), "{said}");
    let first = begins.to_string();
    let proof = trail.says(&["prove", "--entry", &first])?;
    let entry = trail.says(&["export", "--from", &first, "--to", &first])?;
    let key = trail.says(&["key"])?;
    ensure!(tlog("entry", &key, &entry, &proof)?, "{proof}");
    refused(&trail.audit(&["prove", "--entry", &(begins - 1).to_string()])?)?;

    // More of it goes, and nobody says so.
    let checkpoints = trail.raw.collection::<Document>("audit_checkpoints");
    let newest = checkpoints
        .find_one(doc! {})
        .sort(doc! { "_id": -1 })
        .await?;
    let mut newest = newest.context("nothing is signed")?;
    newest.remove("_id");
    newest.remove("note");
    let start = doc! { "_id": "start" };
    let before = state.find_one(start.clone()).await?.context("no start")?;
    state
        .update_one(start.clone(), doc! { "$set": newest })
        .await?;
    trail.is_found_out(&[], "it is not on record")?;
    let nowhere = doc! { "$set": { "size": begins + 1 } };
    state.replace_one(start.clone(), before.clone()).await?;
    state.update_one(start.clone(), nowhere).await?;
    trail.is_found_out(&[], "")?;
    state.replace_one(start, before).await?;
    trail.says(&["verify"])?;
    let on = ["maintenance", "on", "--reason", "audit"];
    succeeded(&trail.cluster.certfleet(&on)?)?;
    succeeded(&trail.cluster.certfleet(&["maintenance", "off"])?)?;
    trail.until("maintenance.end").await?;
    keep(trail, "later.checkpoint")
}

async fn tampering_is_found_out(
    trail: &Trail,
    held: &Database,
    kept: &str,
    key: &str,
) -> Result<()> {
    // Nothing else is to come meanwhile.
    let blocks = held.find("audit_log", doc! {}).await?;
    let first = &blocks[0];
    let at = doc! { "_id": first.get("_id").context("an id")? };

    // An entry is changed.
    let number = first.get_i64("_id")?;
    let line = first.get_array("events")?[0].as_str().context("a line")?;
    let changed = line.replace("\"done\"", "\"refused\"");
    ensure!(changed != line, "{line}");
    set(trail, &at, "events.0", changed).await?;
    let why = format!("entry {number} was changed");
    trail.is_found_out(&[], &why)?;
    trail.is_found_out(&["--checkpoint", kept], &why)?;
    set(trail, &at, "events.0", 7).await?;
    trail.is_found_out(&[], "audit_log")?;
    set(trail, &at, "events.0", line).await?;
    trail.says(&["verify"])?;

    // Something is put after the end.
    let size = i64::try_from(trail.signed()?)?;
    let beyond = doc! { "_id": size, "events": [line], "links": first.get("links") };
    trail.log().insert_one(beyond).await?;
    trail.is_found_out(&[], &format!("entry {size} is not of the log"))?;
    trail.log().delete_one(doc! { "_id": size }).await?;
    trail.says(&["verify"])?;

    // A block is taken out, and the last one as well.
    trail.log().delete_one(at.clone()).await?;
    trail.is_found_out(&[], "missing")?;
    trail.log().insert_one(first).await?;
    trail.says(&["verify"])?;

    // The end is cut off, and all that the database says of it with it: only what was kept elsewhere tells.
    let forged = ["audit_log", "audit_checkpoints", "audit_state"];
    for collection in forged {
        let collection = trail.raw.collection::<Document>(collection);
        collection.delete_many(doc! {}).await?;
    }
    trail.is_found_out(&["--checkpoint", kept, "--key", key], "")
}

async fn set(trail: &Trail, at: &Document, field: &str, value: impl Into<Bson>) -> Result<()> {
    let update = doc! { "$set": { field: value.into() } };
    let done = trail.log().update_one(at.clone(), update).await?;
    ensure!(done.matched_count == 1, "nothing at {at}");
    Ok(())
}

#[tokio::test]
async fn a_process_keeps_its_acts_in_a_file_and_takes_no_other_processs() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let home = tempfile::tempdir()?;
    let (file, log) = (home.path().join("audit.log"), home.path().join("log"));
    let settings = [("CERTFLEET_AUDIT_FILE", file.as_os_str())];
    let (state, other) = (home.path().join("state"), home.path().join("other"));
    for round in 1..=2 {
        // The second time it goes on in the same file.
        let mut api = Outsider::start(&cluster, "api", &settings, &state, &log)?;
        api.await_probe("/readyz", |status, _| status == 200)
            .await?;
        let acme = Acme::connect(cluster.http()?, &api.directory()).await?;
        acme.new_account().await?;
        acme.new_account().await?;
        api.end().await?;
        let text = fs::read_to_string(&file)?;
        ensure!(
            text.matches("\"act\":\"account.create\"").count() == 2 * round,
            "{text}"
        );
    }
    let path = file.to_str().context("no text")?;
    let verify = ["audit", "verify-file", path];
    let said = succeeded(&cluster.certfleet(&verify)?)?;
    ensure!(said.contains("4 entries"), "{said}");

    let mut stranger = Outsider::start(&cluster, "api", &settings, &other, &log)?;
    let until = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(&log)?.contains("its last line: it is of server") {
        ensure!(Instant::now() < until, "{}", fs::read_to_string(&log)?);
        sleep(Duration::from_millis(50)).await;
    }
    let (ended, _) = stranger.end().await?;
    ensure!(!ended.success(), "it has started");

    let whole = fs::read_to_string(&file)?;
    let lines: Vec<&str> = whole.lines().collect();
    let edited = whole.replacen("done", "undo", 1);
    for bent in [
        edited,
        lines[1..].join("\n"),
        [lines[0], lines[2]].join("\n"),
    ] {
        fs::write(&file, bent)?;
        let output = cluster.certfleet(&verify)?;
        ensure!(output.status.code() == Some(4), "{output:?}");
        let why = refused(&output)?;
        ensure!(why.contains("line "), "{why}");
    }
    Ok(())
}

#[tokio::test]
async fn checkpoints_are_in_a_file_and_at_a_url() -> Result<()> {
    let trail = Trail::start().await?;
    trail.until("certificate.issue").await?;
    let file = trail.cluster.data().join("audit.checkpoint");
    let http = trail.cluster.http()?;
    let get = async |path: &str| -> Result<String> {
        let url = format!("{}/audit/{path}", trail.cluster.api());
        Ok(http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?)
    };
    // Whoever acts meanwhile, the three come to say the same.
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let said = trail.says(&["checkpoint"])?;
        let kept = fs::read_to_string(&file).unwrap_or_default();
        if said == kept && said == get("checkpoint").await? {
            break;
        }
        ensure!(
            Instant::now() < until,
            "{kept} in the file, {said} in the database"
        );
        sleep(Duration::from_millis(200)).await;
    }
    ensure!(get("key").await? == trail.says(&["key"])?);
    let path = file.to_str().context("no text")?;
    trail.says(&["verify", "--checkpoint", path])?;
    Ok(())
}
