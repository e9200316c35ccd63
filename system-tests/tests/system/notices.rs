//! What people are told without having asked, by a real mail server (aiosmtpd, over STARTTLS) and by a request to a URL: each thing
//! once, whatever fails in between (OPS-7).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use bson::{DateTime, doc};
use certfleet_crash_points::{CrashPoint, Strike, VARIABLE, arm, struck};
use certfleet_supervisor::pick_free_ports;
use certfleet_system_tests::{Cluster, Plan, fresh_name, write_server_files};
use certfleet_testkit::tools_directory;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::succeeded;

/// A run is a quarter of a minute after the one before.
const PATIENCE: Duration = Duration::from_secs(100);
const PAUSE: Duration = Duration::from_millis(200);
const DAY: i64 = 86_400_000;
const WORKER: &str = "certfleet-worker";

/// aiosmtpd, which puts mails into a directory. It ends with this.
struct MailServer {
    home: PathBuf,
    port: u16,
    child: Child,
}

impl MailServer {
    fn start(home: &Path, port: u16) -> Result<Self> {
        let program = tools_directory().join("venv/bin/aiosmtpd");
        let child = Command::new(program)
            .args(["--nosetuid", "--listen", &format!("127.0.0.1:{port}")])
            .arg("--tlscert")
            .arg(home.join("certificate.pem"))
            .arg("--tlskey")
            .arg(home.join("key.pem"))
            .args(["--class", "aiosmtpd.handlers.Mailbox"])
            .arg(home.join("mails"))
            .stdin(Stdio::null())
            .spawn()
            .context("aiosmtpd is missing: scripts/get-test-tools")?;
        let home = home.to_owned();
        Ok(Self { home, port, child })
    }

    fn stop(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn resume(&mut self) -> Result<()> {
        *self = Self::start(&self.home.clone(), self.port)?;
        Ok(())
    }

    /// The mails that say this.
    fn mails(&self, what: &str) -> Result<Vec<String>> {
        let directory = self.home.join("mails/new");
        let Ok(found) = fs::read_dir(directory) else {
            return Ok(Vec::new());
        };
        let mut mails = Vec::new();
        for file in found {
            let mail = fs::read_to_string(file?.path())?;
            // Long lines are broken.
            let mail = mail.replace("=\n", "").replace("\n ", " ");
            if mail.contains(what) {
                mails.push(mail);
            }
        }
        Ok(mails)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who gets requests, and what came.
#[derive(Clone, Default)]
struct Hook {
    got: Arc<Mutex<Vec<Value>>>,
    refuses: Arc<Mutex<bool>>,
}

impl Hook {
    async fn listen(self, port: u16) -> Result<()> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let router = Router::new().route("/hook", post(take)).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(())
    }

    /// The notices that say this.
    fn notices(&self, what: &str) -> Result<Vec<Value>> {
        let got = self.got.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        let all = got.iter().filter_map(|body| body["notices"].as_array());
        let says = |notice: &&Value| {
            notice["subject"]
                .as_str()
                .is_some_and(|said| said.contains(what))
        };
        Ok(all.flatten().filter(says).cloned().collect())
    }

    fn refuse(&self, refuses: bool) -> Result<()> {
        *self
            .refuses
            .lock()
            .map_err(|_| anyhow::anyhow!("poisoned"))? = refuses;
        Ok(())
    }
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    if hook.refuses.lock().is_ok_and(|refuses| *refuses) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    // A token goes over https only, and this is none.
    if headers.contains_key("authorization") {
        return StatusCode::BAD_REQUEST;
    }
    if let Ok(mut got) = hook.got.lock() {
        got.push(body);
    }
    StatusCode::NO_CONTENT
}

struct Told {
    cluster: Cluster,
    server: MailServer,
    hook: Hook,
}

impl Told {
    fn certfleet(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cluster.certfleet(&[arguments, &["--json"]].concat())?;
        Ok(serde_json::from_str(&succeeded(&output)?)?)
    }

    fn notice(&self, id: &str) -> Result<Value> {
        let all = self.certfleet(&["notice", "list"])?;
        let all = all.as_array().context("no list")?;
        let found = all.iter().find(|one| one["id"] == id);
        Ok(found.cloned().unwrap_or_default())
    }

    async fn until(&self, right: impl Fn() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !right()? {
            let told = || self.certfleet(&["notice", "list"]);
            ensure!(began.elapsed() < PATIENCE, "{}", told()?);
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Has what waits tried again now.
    async fn hurry(&self, id: &str) -> Result<()> {
        let now = doc! { "$set": { "next_at": DateTime::now() } };
        let database = self.cluster.database().await?;
        database.change("notices", doc! { "_id": id }, now).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_once_of_what_they_are_to_know() -> Result<()> {
    let home = tempfile::tempdir()?;
    write_server_files(home.path())?;
    let ports = pick_free_ports(2)?;
    let server = MailServer::start(home.path(), ports[0])?;
    let hook = Hook::default();
    hook.clone().listen(ports[1]).await?;
    let root = home.path().join("root.pem").display().to_string();
    let plan = Plan::new("notices")
        .with(
            "CERTFLEET_NOTICES_SMTP",
            format!("smtp://localhost:{}", ports[0]),
        )
        .with("CERTFLEET_NOTICES_FROM", "certfleet <pki@example.org>")
        .with("CERTFLEET_NOTICES_TO", "oncall@example.org")
        .with("CERTFLEET_NOTICES_BCC", "archive@example.org")
        .with("CERTFLEET_NOTICES_CA_FILE", root)
        .with(
            "CERTFLEET_NOTICES_WEBHOOK",
            format!("http://127.0.0.1:{}/hook", ports[1]),
        );
    let points = tempfile::tempdir()?;
    let plan = plan.with(VARIABLE, points.path().display().to_string());
    let plan = plan.with("CERTFLEET_WORKER_LEASE", "10s");
    let cluster = Cluster::start(plan).await?;
    let mut told = Told {
        cluster,
        server,
        hook,
    };
    a_test_arrives_by_both(&told).await?;
    who_is_killed_before_it_is_noted_has_it_told_again(&told, points.path()).await?;
    what_cannot_be_told_is_told_later(&mut told).await?;
    let id = what_keeps_failing_is_told_once(&told).await?;
    what_was_not_renewed_is_told_once_at_each_stage(&told, &id).await?;
    succeeded(&told.cluster.certfleet(&["audit", "verify"])?)?;
    told.cluster.stop().await?;
    Ok(())
}

async fn a_test_arrives_by_both(told: &Told) -> Result<()> {
    let made = told.certfleet(&["notice", "test"])?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    told.until(|| Ok(told.notice(&id)?["status"] == "told"))
        .await?;
    let mails = told.server.mails("Subject: [certfleet] this is a test")?;
    ensure!(mails.len() == 1, "{mails:?}");
    ensure!(mails[0].contains("oncall@example.org"), "{mails:?}");
    // Delivered to, and told to nobody.
    let hidden = mails[0]
        .lines()
        .filter(|line| line.contains("archive@example.org"));
    ensure!(hidden.count() <= 1, "{mails:?}");
    let got = told.hook.notices("this is a test")?;
    ensure!(got.len() == 1 && got[0]["id"] == id.as_str(), "{got:?}");
    Ok(())
}

/// The same mail and the same notice, by which receivers know them again.
async fn who_is_killed_before_it_is_noted_has_it_told_again(
    told: &Told,
    points: &Path,
) -> Result<()> {
    arm(points, WORKER, CrashPoint::NoticesTold, Strike::Kill)?;
    let made = told.certfleet(&["notice", "test"])?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    told.until(|| Ok(struck(points, WORKER, CrashPoint::NoticesTold)?.is_some()))
        .await?;
    told.until(|| Ok(told.notice(&id)?["status"] == "told"))
        .await?;
    let message_id = |mail: &String| {
        let line = mail.lines().find(|line| line.starts_with("Message-ID"));
        line.map(str::to_owned)
    };
    // The one of before, and this one twice.
    let mails = told.server.mails("this is a test")?;
    let mut ids: Vec<Option<String>> = mails.iter().map(message_id).collect();
    ids.sort();
    ids.dedup();
    ensure!(
        mails.len() == 3 && ids.len() == 2,
        "{ids:?} of {}",
        mails.len()
    );
    let got = told.hook.notices("this is a test")?;
    let this = got.iter().filter(|notice| notice["id"] == id.as_str());
    ensure!(this.count() == 1, "{got:?}");
    Ok(())
}

async fn what_cannot_be_told_is_told_later(told: &mut Told) -> Result<()> {
    told.server.stop()?;
    told.hook.refuse(true)?;
    let made = told.certfleet(&["notice", "test"])?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    let trouble = |notice: &Value| notice["trouble"].as_str().unwrap_or_default().to_owned();
    told.until(|| Ok(!trouble(&told.notice(&id)?).is_empty()))
        .await?;
    // One try, though both have failed.
    let both = trouble(&told.notice(&id)?);
    ensure!(
        both.starts_with("mail:") && both.contains("; webhook:"),
        "{both}"
    );
    // Only one of them comes back.
    told.hook.refuse(false)?;
    told.hurry(&id).await?;
    told.until(|| Ok(told.hook.notices("this is a test")?.len() == 3))
        .await?;
    told.until(|| Ok(trouble(&told.notice(&id)?).starts_with("mail:")))
        .await?;
    ensure!(
        told.notice(&id)?["status"] == "waiting",
        "{}",
        told.notice(&id)?
    );
    told.server.resume()?;
    told.hurry(&id).await?;
    told.until(|| Ok(told.notice(&id)?["status"] == "told"))
        .await?;
    ensure!(told.server.mails("this is a test")?.len() == 4, "the mail");
    // What was told by one channel was not told by it again.
    ensure!(
        told.hook.notices("this is a test")?.len() == 3,
        "the webhook"
    );
    Ok(())
}

async fn what_keeps_failing_is_told_once(told: &Told) -> Result<String> {
    let name = fresh_name("never");
    let added = told.certfleet(&["cert", "add", &name, "--upstream", "own"])?;
    let id = added["id"].as_str().context("no id")?.to_owned();
    let failures = |id: &str| {
        Ok::<_, anyhow::Error>(told.certfleet(&["cert", "show", id])?["failures"].as_u64())
    };
    told.until(|| Ok(failures(&id)? == Some(1))).await?;
    let database = told.cluster.database().await?;
    let three = doc! { "$set": { "setback.failures": 3 } };
    database
        .change("managed_certificates", doc! { "_id": &id }, three)
        .await?;
    let subject = format!("{name} cannot be had");
    for due in [4, 5] {
        told.certfleet(&["cert", "renew", &id])?;
        told.until(|| Ok(failures(&id)? == Some(due))).await?;
    }
    told.until(|| Ok(!told.server.mails(&subject)?.is_empty()))
        .await?;
    told.until(|| Ok(!told.hook.notices(&subject)?.is_empty()))
        .await?;
    let found = database
        .count("notices", doc! { "topic": "failure" })
        .await?;
    ensure!(found == 1, "{found}");
    Ok(id)
}

async fn what_was_not_renewed_is_told_once_at_each_stage(told: &Told, id: &str) -> Result<()> {
    let database = told.cluster.database().await?;
    let now = DateTime::now().timestamp_millis();
    let at = |days: i64| DateTime::from_millis(now + days * DAY);
    let by_id = || doc! { "_id": id };
    let shown = told.certfleet(&["cert", "show", id])?;
    let name = shown["names"][0].as_str().context("no name")?.to_owned();
    let current = doc! {
        "version": "0".repeat(32), "upstream": "own", "serial": "01", "names": [&name],
        "not_before": at(-84), "not_after": at(6), "ask_at": at(300),
    };
    let six_left = doc! { "$set": { "current": current, "notice_at": at(-10) } };
    database
        .change("managed_certificates", by_id(), six_left)
        .await?;
    let soon = format!("{name} expires");
    told.until(|| Ok(!told.server.mails(&soon)?.is_empty()))
        .await?;
    // Of the three that have begun, the last one; the next comes when a day is left.
    let stages = database
        .count("notices", doc! { "topic": "expiry" })
        .await?;
    ensure!(stages == 1, "{stages}");
    let over = doc! { "$set": { "current.not_after": at(-1), "notice_at": at(-1) } };
    database
        .change("managed_certificates", by_id(), over)
        .await?;
    let gone = format!("{name} has expired");
    told.until(|| Ok(!told.hook.notices(&gone)?.is_empty()))
        .await?;
    told.until(|| Ok(!told.server.mails(&gone)?.is_empty()))
        .await?;
    let left = database.find("managed_certificates", by_id()).await?;
    let left = left.first().context("it is gone")?;
    ensure!(!left.contains_key("notice_at"), "{left}");
    for what in [&soon, &gone] {
        ensure!(told.server.mails(what)?.len() == 1, "{what}");
        ensure!(told.hook.notices(what)?.len() == 1, "{what}");
    }
    Ok(())
}
