//! Somebody else's server, run for real on loopback.

use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certfleet_supervisor::{Process, ProcessSpec, Signal, pick_free_ports};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// It listens by then, or something is wrong.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server on loopback, which dies with this process.
pub(crate) struct Server {
    spec: ProcessSpec,
    process: Option<Process>,
    port: u16,
    directory: TempDir,
}

impl Server {
    /// Starts it with this besides in its environment, and the arguments for its port and its directory.
    pub(crate) async fn start(
        name: &str,
        program: PathBuf,
        env: &[(&str, &str)],
        args: impl Fn(u16, &Path) -> Vec<String>,
    ) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("certfleet-server-")
            .tempdir()
            .unwrap();
        let port = pick_free_ports(1).unwrap()[0];
        let mut server = Self {
            spec: ProcessSpec {
                name: name.to_owned(),
                program,
                args: args(port, directory.path())
                    .into_iter()
                    .map(OsString::from)
                    .collect(),
                env: env
                    .iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                log: directory.path().join("log"),
                owner: directory.path().to_owned(),
                when_orphaned: Signal::SIGKILL,
            },
            process: None,
            port,
            directory,
        };
        server.run().await;
        server
    }

    /// Starts it, or starts it again.
    pub(crate) async fn run(&mut self) {
        self.process = Some(Process::start(&self.spec).unwrap_or_else(|error| {
            panic!("{error}: run scripts/get-test-tools");
        }));
        let until = Instant::now() + READY_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                Instant::now() < until,
                "{} does not listen: {}",
                self.spec.name,
                fs::read_to_string(&self.spec.log).unwrap_or_default()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// It is killed.
    pub(crate) async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::SIGKILL).unwrap();
            process.wait().await;
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &Path {
        &self.spec.log
    }

    /// What is its own.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}
