//! What can go wrong with a cluster on one machine, each in one line that says what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Why the supervisor could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// A live cluster has the data directory.
    #[error(
        "{} is in use by a running cluster ({holder}): stop that one with Ctrl-C or `kill`, or choose another data directory",
        directory.display()
    )]
    Locked {
        /// The data directory.
        directory: PathBuf,
        /// Who holds it, as text: `pid 4711`.
        holder: String,
    },
    /// A port that is needed is taken.
    #[error("port {port} for {purpose} is taken by {holder}: stop that, or choose another port")]
    PortTaken {
        /// The port.
        port: u16,
        /// What it was to be for.
        purpose: String,
        /// Who holds it, as text: `pid 4711 (nginx)`.
        holder: String,
    },
    /// A port that this user may not use, or an address that this machine does not have.
    #[error("cannot listen on port {port} for {purpose} ({source}): choose another port")]
    PortUnusable {
        /// The port.
        port: u16,
        /// What it was to be for.
        purpose: String,
        /// What the system said.
        source: io::Error,
    },
    /// Every port tried is taken.
    #[error("no free port found on 127.0.0.1: stop some of what listens there")]
    NoFreePort,
    /// There is no mongod.
    #[error(
        "no mongod found in {looked_in}: run scripts/get-mongod, or name one with --mongod or CERTFLEET_MONGOD"
    )]
    MongodMissing {
        /// Where it was looked for, as text.
        looked_in: String,
    },
    /// There is a mongod, and it does not do.
    #[error("{} cannot be used as mongod: {why}", path.display())]
    MongodUnusable {
        /// Its path.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// A program could not be started.
    #[error("cannot start {name} from {}: {source}", program.display())]
    Spawn {
        /// The process's name.
        name: String,
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process ended before it was ready, or while it was needed.
    #[error("{name} ended unasked ({status}); its log {} ends with: {last_words}", log.display())]
    Died {
        /// The process's name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of its log in one line.
        last_words: String,
    },
    /// A process lives, and does not get ready.
    #[error("{name} was not ready within {} s ({last_answer}): see {}", within.as_secs(), log.display())]
    NotReady {
        /// The process's name.
        name: String,
        /// How long it was waited for.
        within: Duration,
        /// What the last try said.
        last_answer: String,
        /// Its log.
        log: PathBuf,
    },
    /// A process of an earlier run withstands SIGKILL.
    #[error("pid {pid} of an earlier run does not end: stop it by hand, or restart the machine")]
    Unkillable {
        /// Its pid.
        pid: i32,
    },
    /// A process of an earlier run cannot be watched.
    #[error("cannot watch a process of an earlier run: {0}")]
    Processes(#[source] io::Error),
    /// A signal could not be sent.
    #[error("cannot signal {name} (pid {pid}): {source}")]
    Signal {
        /// The process's name.
        name: String,
        /// Its pid.
        pid: i32,
        /// What the system said.
        source: nix::errno::Errno,
    },
    /// The cluster has no such process.
    #[error("the cluster has no {service} {index}")]
    NoSuchProcess {
        /// The service asked for.
        service: String,
        /// Its index.
        index: u32,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried: `create`, `read`, `write`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of ours does not hold what it should.
    #[error("{} is damaged ({source}): {advice}", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The replica set does not do what it should.
    #[error("the replica set could not {step}: {source}")]
    ReplicaSet {
        /// What was tried.
        step: &'static str,
        /// What the driver said.
        source: mongodb::error::Error,
    },
    /// The members do not come to know their configuration.
    #[error(
        "the replica set's members did not read their configuration within {} s: stop what listens on their former ports and start again",
        within.as_secs()
    )]
    Unconfigured {
        /// How long it was waited for.
        within: Duration,
    },
    /// The replica set has no primary, or no majority.
    #[error(
        "the replica set took no majority write within {} s ({last_answer}): see the mongod logs in {}",
        within.as_secs(),
        logs.display()
    )]
    NotWritable {
        /// How long it was waited for.
        within: Duration,
        /// What the last try said.
        last_answer: String,
        /// The directory of the logs.
        logs: PathBuf,
    },
}

impl SupervisorError {
    /// Turns an IO error into one that names what was done to which path.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn replica_set(step: &'static str) -> impl FnOnce(mongodb::error::Error) -> Self {
        move |source| Self::ReplicaSet { step, source }
    }
}
