//! One mongod: finding the program, starting a member, and knowing when it listens.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::error::SupervisorError;
use crate::ports;
use crate::process::{Process, ProcessSpec, find_on_path};
use crate::procfs;

/// The replica set's name.
pub(crate) const SET_NAME: &str = "certfleet";

/// A start after a crash replays the journal, and may take a while on a large database.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// mongod does not say when it listens; it is asked this often.
const PAUSE: Duration = Duration::from_millis(20);

/// The oldest server with `shutdownTimeoutMillisForSignaledShutdown`.
const OLDEST_MAJOR: u32 = 5;

/// A mongod program that has been seen to run.
#[derive(Debug, Clone)]
pub struct MongodBinary {
    path: PathBuf,
    version: String,
}

impl MongodBinary {
    /// Finds mongod: the path given, `CERTFLEET_MONGOD`, `PATH`, `mongod` in the directory of cached tools.
    ///
    /// A path given or in the variable is taken as it is: if it does not run, that is an error, and no other is tried.
    pub async fn find(explicit: Option<&Path>, tools: &Path) -> Result<Self, SupervisorError> {
        let named = explicit
            .map(Path::to_owned)
            .or_else(|| std::env::var_os("CERTFLEET_MONGOD").map(PathBuf::from))
            .filter(|path| !path.as_os_str().is_empty());
        let cached = tools.join("mongod");
        let path = named
            .or_else(|| find_on_path("mongod"))
            .or_else(|| cached.is_file().then(|| cached.clone()))
            .ok_or_else(|| SupervisorError::MongodMissing {
                looked_in: format!("PATH and {}", tools.display()),
            })?;
        let version = version_of(&path).await?;
        Ok(Self { path, version })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version: `6.0.5`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

async fn version_of(path: &Path) -> Result<String, SupervisorError> {
    let unusable = |why: String| SupervisorError::MongodUnusable {
        path: path.to_owned(),
        why,
    };
    let output = Command::new(path)
        .arg("--version")
        .output()
        .await
        .map_err(|error| unusable(error.to_string()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(unusable(crate::process::last_line(&errors)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("db version v"))
        .ok_or_else(|| unusable("it does not tell its version".to_owned()))?;
    match version.split('.').next().map(str::parse::<u32>) {
        Some(Ok(major)) if major >= OLDEST_MAJOR => Ok(version.to_owned()),
        _ => Err(unusable(format!(
            "it is version {version}, and {OLDEST_MAJOR}.0 or newer is due"
        ))),
    }
}

/// How the members are run.
#[derive(Debug, Clone)]
pub struct MongodOptions {
    /// What the `WiredTiger` cache may grow to, in GB; 0.25 is the least that mongod takes, and makes writes wait for what
    /// is thrown out.
    pub cache_gb: f64,
    /// What the oplog may grow to, in MB; 990 is the least that it can later be resized to.
    pub oplog_mb: u32,
    /// Whether members take commands that have them fail, which is for tests only.
    pub test_commands: bool,
    /// What a member gets if the supervisor dies: SIGTERM lets it close its files, SIGKILL is quick.
    pub when_orphaned: Signal,
}

impl Default for MongodOptions {
    fn default() -> Self {
        Self {
            cache_gb: 1.0,
            oplog_mb: 990,
            test_commands: false,
            when_orphaned: Signal::SIGTERM,
        }
    }
}

/// A member of the replica set on 127.0.0.1, as a process. Dropping it sends SIGTERM.
#[derive(Debug)]
pub struct Mongod {
    process: Process,
    index: u32,
    port: u16,
}

impl Mongod {
    /// Starts the member; data in `<directory>/data`, log in `<directory>/mongod.log`. It may not listen yet.
    pub(crate) fn start(
        binary: &MongodBinary,
        options: &MongodOptions,
        (index, port): (u32, u16),
        directory: &Path,
        owner: &Path,
    ) -> Result<Self, SupervisorError> {
        let data = directory.join("data");
        std::fs::create_dir_all(&data).map_err(SupervisorError::file("create", &data))?;
        let process = Process::start(&ProcessSpec {
            name: format!("mongod {index}"),
            program: binary.path.clone(),
            args: arguments(options, port, &data),
            env: Vec::new(),
            log: directory.join("mongod.log"),
            owner: owner.to_owned(),
            when_orphaned: options.when_orphaned,
        })?;
        Ok(Self {
            process,
            index,
            port,
        })
    }

    /// Waits until it listens on its port. Fails as soon as it has ended.
    pub(crate) async fn wait_until_listening(&self) -> Result<(), SupervisorError> {
        tokio::select! {
            status = self.process.wait() => Err(self.died(status)),
            listening = self.connect() => listening,
        }
    }

    async fn connect(&self) -> Result<(), SupervisorError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await {
                Ok(_) => return self.require_own_listener(),
                Err(error) if Instant::now() >= deadline => {
                    return Err(SupervisorError::NotReady {
                        name: self.process.name().to_owned(),
                        within: READY_WITHIN,
                        last_answer: error.to_string(),
                        log: self.process.log().to_owned(),
                    });
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// What answered may be another process that took the port a moment before.
    fn require_own_listener(&self) -> Result<(), SupervisorError> {
        let listeners = procfs::listeners(self.port);
        if listeners.is_empty()
            || listeners
                .iter()
                .any(|found| found.pid == self.process.pid())
        {
            Ok(())
        } else {
            Err(ports::taken(self.port, self.process.name()))
        }
    }

    pub(crate) fn died(&self, status: std::process::ExitStatus) -> SupervisorError {
        self.process.died(status, last_complaint)
    }

    /// Its place in the set, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn arguments(options: &MongodOptions, port: u16, data: &Path) -> Vec<OsString> {
    let port = port.to_string();
    let cache = options.cache_gb.to_string();
    let oplog = options.oplog_mb.to_string();
    let mut arguments: Vec<OsString> = [
        "--port",
        &port,
        "--bind_ip",
        "127.0.0.1",
        "--replSet",
        SET_NAME,
        "--nounixsocket",
        "--wiredTigerCacheSizeGB",
        &cache,
        "--oplogSize",
        &oplog,
        // No line per connection.
        "--quiet",
        // Some 100 MB of diagnostics per member that nobody reads here.
        "--setParameter",
        "diagnosticDataCollectionEnabled=false",
        // 15 s otherwise, in which a last member waits for others that are gone.
        "--setParameter",
        "shutdownTimeoutMillisForSignaledShutdown=500",
        // What a killed process had written in an open transaction stays locked this long and half as long again, 60 s
        // otherwise. Ours take milliseconds, and one that is cut off is tried anew.
        "--setParameter",
        "transactionLifetimeLimitSeconds=5",
        // 16 threads otherwise, which on a machine that three members share spend their time meeting each other.
        "--setParameter",
        "replWriterThreadCount=1",
        // Old versions of every document are kept this long for reads of the past, 300 s otherwise; a third of the cost of a
        // claim went there.
        "--setParameter",
        "minSnapshotHistoryWindowInSeconds=0",
    ]
    .map(OsString::from)
    .into();
    if options.test_commands {
        arguments.extend(["--setParameter", "enableTestCommands=1"].map(OsString::from));
    }
    arguments.push("--dbpath".into());
    arguments.push(data.into());
    arguments
}

/// The first error among mongod's last log lines (the later ones tell of its shutdown), in one line.
fn last_complaint(log: &str) -> String {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "s")]
        severity: String,
        msg: String,
        #[serde(default)]
        attr: serde_json::Value,
    }
    log.lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok())
        .find(|line| matches!(line.severity.as_str(), "E" | "F"))
        .map_or_else(
            || crate::process::last_line(log),
            |line| {
                let complaint = format!("{}: {}", line.msg, line.attr);
                complaint.replace('\n', " ").chars().take(300).collect()
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_the_complaint() {
        let log = r#"{"t":{"$date":"2026-01-01"},"s":"I","c":"NETWORK","id":1,"ctx":"x","msg":"fine","attr":{}}
{"t":{"$date":"2026-01-01"},"s":"E","c":"NETWORK","id":2,"ctx":"x","msg":"Failed to set up listener","attr":{"error":"Address already in use"}}
{"t":{"$date":"2026-01-01"},"s":"I","c":"CONTROL","id":3,"ctx":"x","msg":"Now exiting","attr":{}}"#;
        assert_eq!(
            last_complaint(log),
            r#"Failed to set up listener: {"error":"Address already in use"}"#
        );
        assert_eq!(
            last_complaint("mongod: error while loading shared libraries: libcurl.so.4\n\n"),
            "mongod: error while loading shared libraries: libcurl.so.4"
        );
        assert_eq!(last_complaint(""), "(nothing)");
    }

    #[tokio::test]
    async fn a_named_program_that_is_no_mongod_is_refused_in_one_line() {
        for path in ["/does/not/exist", "/bin/true", "/bin/false"] {
            let refused = MongodBinary::find(Some(Path::new(path)), Path::new("/none"))
                .await
                .unwrap_err()
                .to_string();
            assert!(refused.contains(path), "{refused}");
            assert_eq!(refused.lines().count(), 1);
        }
    }
}
