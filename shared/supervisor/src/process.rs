//! A child process that does not outlive its supervisor.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::SupervisorError;

/// The variable that tells of each child which data directory it belongs to.
pub const OWNER_VARIABLE: &str = "CERTFLEET_SUPERVISED";

/// What to start.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// Its name, for messages.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables on top of the supervisor's own.
    pub env: Vec<(OsString, OsString)>,
    /// Where its standard output and standard error are appended to.
    pub log: PathBuf,
    /// The canonical path of the data directory it belongs to.
    pub owner: PathBuf,
    /// What it gets if the supervisor dies.
    pub when_orphaned: Signal,
}

/// How a process was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// How it ended.
    pub status: ExitStatus,
    /// Whether it had to be killed.
    pub forced: bool,
}

/// A running, or ended, child in a process group of its own, so that a Ctrl-C meant for the supervisor does not reach
/// it. Dropping it sends SIGTERM and does not wait.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    log: PathBuf,
    /// Where in the log its own part begins.
    log_from: u64,
    exit: watch::Receiver<Option<ExitStatus>>,
    /// Whether the pid has been given back. Signals are sent under this lock, and so never to a stranger.
    reaped: Arc<Mutex<bool>>,
}

impl Process {
    /// Starts it. Returns once the program runs.
    ///
    /// Each child has a thread, which starts it and waits for its end: the kernel sends the parent-death signal when
    /// the thread that started a child ends, so that no thread of a pool or a runtime will do.
    pub fn start(spec: &ProcessSpec) -> Result<Self, SupervisorError> {
        let failed = |source| SupervisorError::Spawn {
            name: spec.name.clone(),
            program: spec.program.clone(),
            source,
        };
        if !spec.program.is_file() {
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
        let log = append_to(&spec.log)?;
        let log_from = log.metadata().map_or(0, |log| log.len());
        let mut command = command(spec, log)?;
        let (report, started) = mpsc::channel();
        let (announce, exit) = watch::channel(None);
        let reaped = Arc::new(Mutex::new(false));
        let reaped_by_thread = Arc::clone(&reaped);
        thread::Builder::new()
            .name(spec.name.clone())
            .spawn(move || match command.spawn() {
                Ok(child) => {
                    let _ = report.send(Ok(child.id()));
                    announce.send_replace(Some(reap(child, &reaped_by_thread)));
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            })
            .map_err(failed)?;
        let pid = started
            .recv()
            .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
            .map_err(failed)?;
        tracing::debug!(name = spec.name, pid, "started");
        Ok(Self {
            name: spec.name.clone(),
            pid: Pid::from_raw(pid.cast_signed()),
            log: spec.log.clone(),
            log_from,
            exit,
            reaped,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its pid. It may belong to another process once this one has ended.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sends a signal: `SIGTERM`, `SIGKILL`, `SIGSTOP`, `SIGCONT`, ... Nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), SupervisorError> {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped {
            return Ok(());
        }
        match kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(source) => Err(SupervisorError::Signal {
                name: self.name.clone(),
                pid: self.pid.as_raw(),
                source,
            }),
        }
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|status| *status) {
            Ok(Some(status)) => status,
            // The thread is gone without a word: so is what it knew.
            _ => unknown_status(),
        }
    }

    /// Stops it: SIGTERM, and SIGKILL after `patience`. A stopped (SIGSTOP) process is woken to act on it.
    pub async fn stop(&self, patience: Duration) -> Result<Stopped, SupervisorError> {
        self.signal(Signal::SIGTERM)?;
        self.signal(Signal::SIGCONT)?;
        if let Ok(status) = timeout(patience, self.wait()).await {
            return Ok(Stopped {
                status,
                forced: false,
            });
        }
        tracing::warn!(
            name = self.name,
            pid = self.pid(),
            "does not end: killing it"
        );
        self.signal(Signal::SIGKILL)?;
        Ok(Stopped {
            status: self.wait().await,
            forced: true,
        })
    }

    /// The error for an end that nobody asked for; `last_words` makes one line of the end of the log.
    pub(crate) fn died(
        &self,
        status: ExitStatus,
        last_words: fn(&str) -> String,
    ) -> SupervisorError {
        SupervisorError::Died {
            name: self.name.clone(),
            status,
            log: self.log.clone(),
            last_words: last_words(&end_of(&self.log, self.log_from)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit_status().is_none() {
            // Nobody is left to tell of an error.
            let _ = self.signal(Signal::SIGTERM);
            let _ = self.signal(Signal::SIGCONT);
        }
    }
}

fn command(spec: &ProcessSpec, log: File) -> Result<Command, SupervisorError> {
    let errors = log
        .try_clone()
        .map_err(SupervisorError::file("open", &spec.log))?;
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command
                .arg("--pdeathsig")
                .arg(spec.when_orphaned.as_str().trim_start_matches("SIG"))
                .arg("--")
                .arg(&spec.program);
            command
        }
        None => Command::new(&spec.program),
    };
    command
        .args(&spec.args)
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .env(OWNER_VARIABLE, &spec.owner)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0);
    Ok(command)
}

fn append_to(path: &Path) -> Result<File, SupervisorError> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(SupervisorError::file("create", directory))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(SupervisorError::file("open", path))
}

/// util-linux's `setpriv`, which asks the kernel to signal the child when its parent dies. Without it, a killed
/// supervisor's children run on until the next start finds them.
fn setpriv() -> Option<&'static Path> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    SETPRIV.get_or_init(|| find_on_path("setpriv")).as_deref()
}

/// The first file of this name in the directories of `PATH`.
pub fn find_on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// Waits for the end first, and gives the pid back only under the lock.
fn reap(mut child: Child, reaped: &Mutex<bool>) -> ExitStatus {
    let pid = Pid::from_raw(child.id().cast_signed());
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(pid), ended) == Err(Errno::EINTR) {}
    let mut reaped = reaped.lock().unwrap_or_else(PoisonError::into_inner);
    *reaped = true;
    child.wait().unwrap_or_else(|_| unknown_status())
}

/// What stands for a status that something else in this program took away: exit code 255.
fn unknown_status() -> ExitStatus {
    ExitStatus::from_raw(255 << 8)
}

/// The last few kilobytes of a log, from this position on.
fn end_of(log: &Path, from: u64) -> String {
    const LENGTH: u64 = 16 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LENGTH).max(from)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// The last line that is not empty, at most 300 characters of it.
pub(crate) fn last_line(log: &str) -> String {
    log.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map_or_else(
            || "(nothing)".to_owned(),
            |line| line.chars().take(300).collect(),
        )
}
