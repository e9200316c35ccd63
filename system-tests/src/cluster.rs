//! The cluster that the tests run against: `certfleet up`, two replicas of each service over three mongods.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use certfleet_supervisor::{Manifest, MongodBinary, ProcessEntry, Signal, pick_free_ports};
use certfleet_testkit::{ChallengeServer, Ports, tools_directory};
use nix::unistd::Pid;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{Instant, sleep};

use crate::acme::Acme;
use crate::database::Database;
use crate::launch::{Binaries, Launched, without_settings};

/// How long it may take from nothing to the first certificate, on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(180);
/// How long it may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(90);
/// Between two looks at something that nothing announces.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a claim lasts. Shorter than in production, so that what a killed worker had in hand is taken up again
/// within the patience of a test.
const LEASE: &str = "10s";

/// How a cluster is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The name under which its logs are kept when it has ended.
    pub name: String,
    /// How many API replicas.
    pub api: u32,
    /// How many workers.
    pub worker: u32,
    /// How many schedulers.
    pub scheduler: u32,
    /// Where the programs are; those that were built with this one if there is none.
    pub binaries: Option<PathBuf>,
    /// The mongod to run; the one of the tests if there is none.
    pub mongod: Option<PathBuf>,
    /// Settings, and whatever else is in the environment.
    pub environment: Vec<(String, String)>,
}

impl Plan {
    /// Two of each.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            api: 2,
            worker: 2,
            scheduler: 2,
            binaries: None,
            mongod: None,
            environment: Vec::new(),
        }
    }

    /// With this in the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }
}

/// A running cluster.
pub struct Cluster {
    manifest: Manifest,
    data: PathBuf,
    answers: ChallengeServer,
    port: u16,
    plain_port: u16,
    launched: Launched,
}

/// What the challenge server runs on: the runtime of a test ends with it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "without threads there is no test")]
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("no threads")
});

static CLUSTER: OnceCell<Result<Cluster, String>> = OnceCell::const_new();
static GATE: RwLock<()> = RwLock::const_new(());

/// The cluster, beside other tests. Those that want it alone wait until this is dropped.
pub struct Shared {
    _gate: RwLockReadGuard<'static, ()>,
    cluster: &'static Cluster,
}

/// The cluster, for one test alone.
pub struct Alone {
    _gate: RwLockWriteGuard<'static, ()>,
    cluster: &'static Cluster,
}

impl Deref for Shared {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Deref for Alone {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Cluster {
    /// The cluster of this test program, started when the first test asks for it.
    pub async fn shared() -> Result<Shared> {
        Ok(Shared {
            _gate: GATE.read().await,
            cluster: Self::of_this_program().await?,
        })
    }

    /// The same, with no other test running on it until this is dropped: for what breaks things.
    pub async fn alone() -> Result<Alone> {
        Ok(Alone {
            _gate: GATE.write().await,
            cluster: Self::of_this_program().await?,
        })
    }

    async fn of_this_program() -> Result<&'static Self> {
        let started = CLUSTER
            .get_or_init(async || {
                let plan = Plan::new("log").with("CERTFLEET_WORKER_LEASE", LEASE);
                let starting = RUNTIME.spawn(Self::start(plan));
                let started = starting.await.unwrap_or_else(|panic| Err(panic.into()));
                started.map_err(|error| format!("{error:#}"))
            })
            .await;
        started
            .as_ref()
            .map_err(|error| anyhow::anyhow!("no cluster: {error}"))
    }

    /// Starts one, and waits until it has issued its first certificate.
    pub async fn start(plan: Plan) -> Result<Self> {
        // Another library may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let own = Binaries::find()?;
        let logs = own.logs(&plan.name);
        let binaries = match plan.binaries {
            Some(directory) => Binaries::in_directory(directory),
            None => own,
        };
        let data = tempfile::Builder::new()
            .prefix("certfleet-system-")
            .tempdir()?
            .keep();
        let mongod = MongodBinary::find(plan.mongod.as_deref(), &tools_directory()).await?;
        let ports = pick_free_ports(6)?;
        let port = ports[0];
        let challenges = Ports {
            dns: ports[1],
            http01: ports[2],
            tls_alpn01: ports[3],
            management: 0,
        };
        let arguments = [
            ("--api", plan.api.to_string()),
            ("--worker", plan.worker.to_string()),
            ("--scheduler", plan.scheduler.to_string()),
            ("--port", port.to_string()),
            ("--revocation-port", ports[4].to_string()),
            ("--agents-port", ports[5].to_string()),
            ("--mongod", mongod.path().display().to_string()),
            ("--http01-port", challenges.http01.to_string()),
            ("--tls-alpn-port", challenges.tls_alpn01.to_string()),
            ("--resolver", format!("127.0.0.1:{}", challenges.dns)),
        ];
        let arguments: Vec<String> = arguments
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .chain(["--json".to_owned()])
            .collect();
        let mut launched = Launched::start(&binaries, &data, &logs, &arguments, &plan.environment)?;
        await_start(&data, &logs, &mut launched).await?;
        Ok(Self {
            manifest: Manifest::read(&data)?,
            data,
            // Not before: the start answers the challenge of its own certificate on one of these ports.
            answers: ChallengeServer::start_on(challenges).await,
            port,
            plain_port: ports[4],
            launched,
        })
    }

    /// The port at which relying parties, and authorities that validate names of the fleet, ask in plain HTTP.
    pub fn plain_port(&self) -> u16 {
        self.plain_port
    }

    /// Has it end, and waits until all that it started has. Gives where its logs are kept.
    pub async fn stop(self) -> Result<PathBuf> {
        self.launched.stop(STOP_WITHIN).await
    }

    /// The URL of the default authority's directory, as people give it to their clients.
    pub fn directory(&self) -> &str {
        &self.manifest.endpoints.directory
    }

    /// The base URL of the API.
    pub fn api(&self) -> &str {
        &self.manifest.endpoints.api
    }

    /// The port that the API replicas share.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The root certificate, PEM.
    pub fn root(&self) -> &Path {
        &self.manifest.endpoints.root
    }

    /// A token of the REST API by which everything may be done.
    pub fn admin_token(&self) -> Result<String> {
        let file = self.manifest.endpoints.admin_token_file.as_ref();
        let file = file.context("the cluster has no token")?;
        Ok(std::fs::read_to_string(file)?)
    }

    /// The key encryption key's file.
    pub fn kek_file(&self) -> &Path {
        &self.manifest.endpoints.kek_file
    }

    /// The connection string of the replica set.
    pub fn mongo_uri(&self) -> &str {
        &self.manifest.mongo_uri
    }

    /// The database's name.
    pub fn database_name(&self) -> &str {
        &self.manifest.endpoints.database
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where the logs are.
    pub fn logs(&self) -> PathBuf {
        self.data.join("log")
    }

    /// Runs the operator's command on this cluster; gives what became of it.
    pub fn certfleet(&self, arguments: &[&str]) -> Result<Output> {
        self.certfleet_in(self.database_name(), arguments)
    }

    /// The same, in another database of the replica set.
    pub fn certfleet_in(&self, database: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command()?;
        command
            .env("CERTFLEET_DATABASE_NAME", database)
            .args(arguments);
        command.output().context("certfleet does not start")
    }

    /// The operator's command with this cluster's settings, to be told more.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(Binaries::find()?.certfleet());
        without_settings(&mut command);
        command
            .arg("--config")
            .arg(self.data.join("certfleet.yaml"))
            .stdin(Stdio::null());
        Ok(command)
    }

    /// What the workers find when they validate: all names lead to it.
    pub fn answers(&self) -> &ChallengeServer {
        &self.answers
    }

    /// A look at the documents.
    pub async fn database(&self) -> Result<Database> {
        Database::connect(self.mongo_uri(), self.database_name()).await
    }

    /// A new HTTP client that trusts the root, and nothing else; each request on a connection of its own, so that they
    /// spread over the replicas.
    pub fn http(&self) -> Result<reqwest::Client> {
        Ok(self
            .http_builder()?
            .http1_only()
            .pool_max_idle_per_host(0)
            .build()?)
    }

    /// A client to be built otherwise.
    pub fn http_builder(&self) -> Result<reqwest::ClientBuilder> {
        let root = std::fs::read(self.root())?;
        let root = reqwest::Certificate::from_pem_bundle(&root)?;
        Ok(reqwest::Client::builder()
            .tls_certs_only(root)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60)))
    }

    /// A new ACME client whose requests spread over the replicas.
    pub async fn acme(&self) -> Result<Acme> {
        Acme::connect(self.http()?, self.directory()).await
    }

    /// The processes as they are now.
    pub fn processes(&self) -> Result<Vec<ProcessEntry>> {
        Ok(Manifest::read(&self.data)?.processes)
    }

    /// The process of this kind and index as it is now.
    pub fn process(&self, service: &str, index: u32) -> Result<ProcessEntry> {
        self.processes()?
            .into_iter()
            .find(|process| process.service == service && process.index == index)
            .with_context(|| format!("there is no {service} {index}"))
    }

    /// Signals a process; gives the pid.
    pub fn signal(&self, service: &str, index: u32, signal: Signal) -> Result<i32> {
        let pid = self.process(service, index)?.pid;
        nix::sys::signal::kill(Pid::from_raw(pid), signal)
            .with_context(|| format!("{service} {index}, pid {pid}"))?;
        Ok(pid)
    }

    /// Waits until another process than `before` has this place, and is ready.
    pub async fn await_successor(
        &self,
        service: &str,
        index: u32,
        before: i32,
        within: Duration,
    ) -> Result<()> {
        let until = Instant::now() + within;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()?;
        loop {
            // The file is replaced while it is read at times.
            if let Ok(process) = self.process(service, index)
                && process.pid != before
            {
                let ready = http
                    .get(format!("{}/readyz", process.management))
                    .send()
                    .await;
                if ready.is_ok_and(|answer| answer.status() == 200) {
                    return Ok(());
                }
            }
            ensure!(
                Instant::now() < until,
                "{service} {index} (pid {before}) has no successor that is ready after {within:?}"
            );
            sleep(PAUSE).await;
        }
    }

    /// How many requests each API replica has answered, by its index.
    pub async fn requests_answered(&self) -> Result<BTreeMap<u32, u64>> {
        self.counters("api", "certfleet_http_requests_total", "/acme/")
            .await
    }

    /// A counter of each process of a service that answers, by its index: the sum over the label sets that contain a
    /// text.
    pub async fn counters(
        &self,
        service: &str,
        name: &str,
        label: &str,
    ) -> Result<BTreeMap<u32, u64>> {
        let mut counters = BTreeMap::new();
        for process in self.processes()? {
            if process.service == service {
                let metrics = reqwest::get(format!("{}/metrics", process.management))
                    .await?
                    .text()
                    .await?;
                counters.insert(process.index, sum_of(&metrics, name, label));
            }
        }
        Ok(counters)
    }

    /// The end of a process's log, for messages.
    pub fn log_of(&self, service: &str, index: u32) -> String {
        let path = self.logs().join(format!("{service}-{index}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

/// The sum of a metric over the label sets that contain a text.
fn sum_of(metrics: &str, name: &str, label: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Waits until the start has said its last word: where everything is.
async fn await_start(data: &Path, logs: &Path, launched: &mut Launched) -> Result<()> {
    let until = Instant::now() + START_WITHIN;
    loop {
        let said = std::fs::read_to_string(data.join("up.log")).unwrap_or_default();
        if said.lines().any(is_summary) {
            return Ok(());
        }
        if let Some(status) = launched.has_ended()? {
            let log = std::fs::read_to_string(logs.join("up.log")).unwrap_or_default();
            bail!("certfleet up ended ({status}): {}", log.trim_end());
        }
        ensure!(
            Instant::now() < until,
            "certfleet up is not ready after {START_WITHIN:?}: {said}"
        );
        sleep(PAUSE).await;
    }
}

fn is_summary(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line).is_ok_and(|said| said["directory"].is_string())
}
