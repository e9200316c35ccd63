//! The audit trail at a receiver of syslog over TLS, a real rsyslogd: every entry arrives, though the receiver is killed
//! in the middle and away for a while (AUD-4).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::pick_free_ports;
use certfleet_system_tests::{Cluster, Plan, fresh_name, write_server_files};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::succeeded;

/// A run of the duty is ten seconds after the one before, and after trouble one of them may be lost.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// rsyslogd, with a directory of its own. It ends with this.
struct Receiver {
    home: PathBuf,
    child: Child,
}

impl Receiver {
    /// Its certificate, and what it is to do.
    fn prepare(home: &Path, port: u16) -> Result<()> {
        write_server_files(home)?;
        let at = home.display();
        // What it has read it has written: its queue is none.
        let configuration = format!(
            r#"global(
    workDirectory="{at}"
    maxMessageSize="64k"
    defaultNetstreamDriver="ossl"
    defaultNetstreamDriverCAFile="{at}/root.pem"
    defaultNetstreamDriverCertFile="{at}/certificate.pem"
    defaultNetstreamDriverKeyFile="{at}/key.pem"
)
main_queue(queue.type="Direct")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="line" type="string" string="%syslogfacility-text% %syslogseverity-text% %hostname% %app-name% %msgid% %msg%\n")
*.* action(type="omfile" file="{at}/got" template="line" asyncWriting="off" flushOnTXEnd="on")
"#
        );
        fs::write(home.join("rsyslog.conf"), configuration)?;
        Ok(())
    }

    fn start(home: &Path) -> Result<Self> {
        // Where Debian keeps it, whoever runs the tests.
        let path = format!("{}:/usr/sbin", std::env::var("PATH")?);
        let child = Command::new("rsyslogd")
            .env("PATH", path)
            .arg("-n")
            .arg("-f")
            .arg(home.join("rsyslog.conf"))
            .arg("-i")
            .arg(home.join("pid"))
            .stdin(Stdio::null())
            .spawn()
            .context("rsyslogd is not there: `make test` installs it, or `apt-get install rsyslog rsyslog-openssl`")?;
        let home = home.to_owned();
        Ok(Self { home, child })
    }

    /// All entries that it has, by their numbers, each as often as it came.
    fn got(&self) -> Result<BTreeMap<u64, Vec<String>>> {
        let mut got = BTreeMap::<u64, Vec<String>>::new();
        let text = fs::read_to_string(self.home.join("got")).unwrap_or_default();
        for line in text.lines() {
            let (header, entry) = line.split_once('{').with_context(|| line.to_owned())?;
            let entry = format!("{{{entry}");
            let read: Value = serde_json::from_str(&entry).with_context(|| line.to_owned())?;
            let event = &read["event"];
            let severity = match event["outcome"].as_str() {
                Some("refused") => "warning",
                _ => "notice",
            };
            let (server, act) = (event["server"].as_str(), event["act"].as_str());
            let (server, act) = server.zip(act).with_context(|| line.to_owned())?;
            let due = format!("audit {severity} {server} certfleet {act}");
            ensure!(header.trim_end() == due, "{header:?} where {due:?} is due");
            let number = read["number"].as_u64().with_context(|| line.to_owned())?;
            got.entry(number).or_default().push(entry);
        }
        Ok(got)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn issue(cluster: &Cluster, certificates: usize) -> Result<()> {
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    for _ in 0..certificates {
        acme.issue(&account, &[&fresh_name("siem")], cluster.answers())
            .await?;
    }
    Ok(())
}

/// Waits until the receiver has every entry that there is now; gives what it has.
async fn until_all_arrived(
    cluster: &Cluster,
    receiver: &Receiver,
) -> Result<BTreeMap<u64, Vec<String>>> {
    let until = Instant::now() + ARRIVES_WITHIN;
    loop {
        let log = succeeded(&cluster.certfleet(&["audit", "export"])?)?;
        let got = receiver.got()?;
        let missing = log
            .lines()
            .zip(0..)
            .find(|(entry, number)| got.get(number).is_none_or(|all| all[0] != *entry));
        let Some((missing, _)) = missing else {
            ensure!(!got.is_empty(), "there is nothing in the log");
            let same = got.values().all(|all| all.iter().all(|one| *one == all[0]));
            ensure!(same, "an entry came in two forms: {got:?}");
            return Ok(got);
        };
        ensure!(Instant::now() < until, "not arrived: {missing}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_dies_in_the_middle_misses_nothing() -> Result<()> {
    let home = tempfile::tempdir()?;
    let port = pick_free_ports(1)?[0];
    Receiver::prepare(home.path(), port)?;
    let receiver = Receiver::start(home.path())?;
    let root = home.path().join("root.pem");
    let plan = Plan::new("siem")
        .with("CERTFLEET_SIEM_URL", format!("tls://localhost:{port}"))
        .with("CERTFLEET_SIEM_CA_FILE", root.display().to_string());
    let cluster = Cluster::start(plan).await?;
    issue(&cluster, 3).await?;
    let before = until_all_arrived(&cluster, &receiver).await?;
    let twice = before.values().filter(|all| all.len() > 1).count();
    ensure!(
        twice == 0,
        "{twice} entries came twice, and nothing was wrong"
    );

    // Dead, with nothing of it on record but what it has written.
    let pid = i32::try_from(receiver.child.id())?;
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    drop(receiver);
    issue(&cluster, 3).await?;
    let health = until_it_is_told(&cluster).await?;
    ensure!(health.contains("degraded"), "{health}");
    let outage = outage()?;
    let until = Instant::now() + outage;
    while Instant::now() < until {
        issue(&cluster, 1).await?;
    }

    let receiver = Receiver::start(home.path())?;
    issue(&cluster, 1).await?;
    let after = until_all_arrived(&cluster, &receiver).await?;
    ensure!(after.len() > before.len(), "nothing happened meanwhile");
    cluster.stop().await?;
    Ok(())
}

/// For how long the receiver stays away beyond that: so many seconds as `CERTFLEET_TEST_OUTAGE` says, or none.
fn outage() -> Result<Duration> {
    let seconds = std::env::var("CERTFLEET_TEST_OUTAGE").unwrap_or_else(|_| "0".to_owned());
    Ok(Duration::from_secs(
        seconds.parse().context("CERTFLEET_TEST_OUTAGE")?,
    ))
}

/// Waits until `certfleet health` says that the receiver is behind; gives its line.
async fn until_it_is_told(cluster: &Cluster) -> Result<String> {
    let until = Instant::now() + ARRIVES_WITHIN;
    loop {
        let said = succeeded(&cluster.certfleet(&["health"])?)?;
        let told = said
            .lines()
            .find(|line| line.contains("siem") && line.contains("behind"));
        if let Some(told) = told {
            return Ok(told.to_owned());
        }
        ensure!(Instant::now() < until, "it is not told: {said}");
        sleep(Duration::from_millis(200)).await;
    }
}
