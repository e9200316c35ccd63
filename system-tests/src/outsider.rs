//! A service beside those of the cluster: the same program with the same settings, but for some.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::{OWNER_VARIABLE, Signal, pick_free_ports};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Cluster;

/// How long a service may take until its probes answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// A service that the cluster's supervisor knows nothing of. It is killed when this is dropped.
pub struct Outsider {
    child: Child,
    url: String,
    management: String,
    http: reqwest::Client,
}

impl Outsider {
    /// Starts what `service` 0 of the cluster is, with these settings instead of its own, and a log at `log`.
    pub fn start(
        cluster: &Cluster,
        service: &str,
        settings: &[(&str, &OsStr)],
        state: &Path,
        log: &Path,
    ) -> Result<Self> {
        let model = format!("/proc/{}", cluster.process(service, 0)?.pid);
        let mut environment = variables(&fs::read(format!("{model}/environ"))?);
        environment.remove(OsStr::new(OWNER_VARIABLE));
        // The cluster's own replicas hear its agents.
        environment.remove(OsStr::new("CERTFLEET_AGENTS_LISTEN"));
        let ports = pick_free_ports(2)?;
        let [listen, management] = [ports[0], ports[1]].map(|port| format!("127.0.0.1:{port}"));
        let url = format!("https://localhost:{}", ports[0]);
        let log = fs::File::create(log)?;
        let child = Command::new(fs::read_link(format!("{model}/exe"))?)
            .env_clear()
            .envs(environment)
            .env("CERTFLEET_SERVER_LISTEN", listen)
            .env("CERTFLEET_SERVER_EXTERNAL_URL", &url)
            .env("CERTFLEET_MANAGEMENT_LISTEN", &management)
            .env("CERTFLEET_STATE_DIR", state)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("another {service} does not start"))?;
        Ok(Self {
            child,
            url,
            management: format!("http://{management}"),
            http: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    /// Starts one more API, which answers http-01 for names of the fleet that lead to `address`, and waits until it does. What it
    /// keeps and logs lies in `home`.
    pub async fn proving(cluster: &Cluster, address: Ipv4Addr, home: &Path) -> Result<Self> {
        let listen = format!("{address}:{}", cluster.answers().http01().port());
        let settings = [("CERTFLEET_REVOCATION_LISTEN", OsStr::new(&listen))];
        let log = home.join("api.log");
        let mut api = Self::start(cluster, "api", &settings, &home.join("api"), &log)?;
        api.await_probe("/readyz", |status, _| status == 200)
            .await?;
        Ok(api)
    }

    /// The URL of its directory, if it is an API.
    pub fn directory(&self) -> String {
        format!("{}/directory", self.url)
    }

    /// Asks a probe once; gives the status, what it says, and how long that took.
    pub async fn probe(&self, probe: &str) -> Result<(u16, String, Duration)> {
        let began = Instant::now();
        let answer = self
            .http
            .get(format!("{}{probe}", self.management))
            .send()
            .await?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await?, began.elapsed()))
    }

    /// Its pid.
    pub fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    /// Has it read its settings again.
    pub fn reload(&self) -> Result<()> {
        Ok(kill(self.pid()?, Signal::SIGHUP)?)
    }

    /// Ends it by SIGTERM; gives how it ended, and after how long.
    pub async fn end(&mut self) -> Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        kill(self.pid()?, Signal::SIGTERM)?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, began.elapsed()));
            }
            ensure!(
                began.elapsed() < ENDS_WITHIN,
                "it has not ended within {ENDS_WITHIN:?}"
            );
            sleep(PAUSE).await;
        }
    }

    /// The status of a probe and what it says, as soon as it says what is awaited.
    pub async fn await_probe(
        &mut self,
        probe: &str,
        awaited: impl Fn(u16, &str) -> bool,
    ) -> Result<()> {
        let until = Instant::now() + ANSWERS_WITHIN;
        let mut last = String::from("nothing");
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("it has ended: {status}");
            }
            let url = format!("{}{probe}", self.management);
            if let Ok(answer) = self.http.get(url).send().await {
                let status = answer.status().as_u16();
                let said: Value = answer.json().await.unwrap_or_default();
                last = format!("{status} {said}");
                if awaited(status, &said.to_string()) {
                    return Ok(());
                }
            }
            ensure!(
                Instant::now() < until,
                "{probe} last said: {last}, after {ANSWERS_WITHIN:?}"
            );
            sleep(PAUSE).await;
        }
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The variables of a process, as the kernel shows them.
fn variables(environ: &[u8]) -> BTreeMap<OsString, OsString> {
    environ
        .split(|byte| *byte == 0)
        .filter_map(|entry| {
            let equals = entry.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (&entry[..equals], &entry[equals + 1..]);
            Some((
                OsStr::from_bytes(name).to_owned(),
                OsStr::from_bytes(value).to_owned(),
            ))
        })
        .collect()
}
