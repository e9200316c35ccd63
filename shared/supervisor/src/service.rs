//! A service of ours as a child process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::SupervisorError;
use crate::ports;
use crate::process::{Process, ProcessSpec, last_line};
use crate::readiness;

/// How long a service may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long a service may take to drain: the API's longest request takes 30 s.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(40);

/// A service to run.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    /// Its kind: `api`, `worker`, `scheduler`.
    pub service: String,
    /// Which of its kind, from 0.
    pub index: u32,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables on top of the supervisor's own.
    pub env: Vec<(OsString, OsString)>,
    /// Where it answers probes, over plain HTTP.
    pub management: SocketAddr,
}

/// A service, started. Dropping it sends SIGTERM.
#[derive(Debug)]
pub struct Service {
    spec: ServiceSpec,
    process: Process,
}

impl Service {
    /// Starts it; the log is `<directory>/log/<service>-<index>.log`. It may not be ready yet.
    pub(crate) fn start(spec: ServiceSpec, directory: &Path) -> Result<Self, SupervisorError> {
        let name = format!("{} {}", spec.service, spec.index);
        ports::require_free(spec.management, &format!("{name}'s probes"))?;
        let log = directory
            .join("log")
            .join(format!("{}-{}.log", spec.service, spec.index));
        let process = Process::start(&ProcessSpec {
            name,
            program: spec.program.clone(),
            args: spec.args.clone(),
            env: spec.env.clone(),
            log,
            owner: directory.to_owned(),
            when_orphaned: Signal::SIGTERM,
        })?;
        Ok(Self { spec, process })
    }

    /// Waits until `/readyz` on its management address answers 200. Fails as soon as it has ended.
    pub(crate) async fn wait_until_ready(&self) -> Result<(), SupervisorError> {
        tokio::select! {
            status = self.process.wait() => Err(self.process.died(status, last_line)),
            ready = readiness::wait_until_ready(self.spec.management, READY_WITHIN) => {
                ready.map_err(|last_answer| SupervisorError::NotReady {
                    name: self.process.name().to_owned(),
                    within: READY_WITHIN,
                    last_answer,
                    log: self.process.log().to_owned(),
                })
            }
        }
    }

    /// What it was started from.
    pub fn spec(&self) -> &ServiceSpec {
        &self.spec
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn is(&self, service: &str, index: u32) -> bool {
        self.spec.service == service && self.spec.index == index
    }
}
