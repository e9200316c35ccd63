//! What an earlier supervisor of the same data directory left running, because it was killed.
//!
//! Every process is started with its data directory in the environment ([`OWNER_VARIABLE`]). So no list of pids has to
//! be kept, which a crash could cut short, and a pid that now belongs to someone else is never taken for ours.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use crate::error::SupervisorError;
use crate::process::OWNER_VARIABLE;
use crate::procfs;

/// How long an ended process may take to be seen as ended after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// Between two looks at the descriptors: to await one, tokio wants it registered, which takes unsafe code.
const PAUSE: Duration = Duration::from_millis(25);

/// Stops what an earlier run left, cleanly, and after `patience` by force. Returns the pids.
///
/// When it returns, the processes have ended with all that they held: their ports can be had again.
///
/// `owner` is the canonical path of the data directory, whose lock the caller holds: without it, a running cluster
/// would be stopped.
pub async fn stop_leftovers(owner: &Path, patience: Duration) -> Result<Vec<i32>, SupervisorError> {
    let found = Leftover::all_of(owner).map_err(SupervisorError::Processes)?;
    let pids = found.iter().map(|leftover| leftover.pid).collect();
    for leftover in &found {
        tracing::info!(leftover.pid, "stopping a process of an earlier run");
        leftover.send(Signal::TERM);
        // A stopped one could not act on it.
        leftover.send(Signal::CONT);
    }
    let stubborn = those_that_outlast(patience, found).await?;
    for leftover in &stubborn {
        tracing::warn!(leftover.pid, "killing a process of an earlier run");
        leftover.send(Signal::KILL);
    }
    match those_that_outlast(AFTER_KILL, stubborn).await?.first() {
        None => Ok(pids),
        Some(leftover) => Err(SupervisorError::Unkillable { pid: leftover.pid }),
    }
}

/// A process of an earlier run, held by a descriptor: whoever has its pid later is not meant.
struct Leftover {
    pid: i32,
    descriptor: OwnedFd,
}

impl Leftover {
    fn all_of(owner: &Path) -> io::Result<Vec<Self>> {
        procfs::pids()
            .into_iter()
            .filter_map(Pid::from_raw)
            .filter(|pid| *pid != getpid())
            .filter_map(|pid| Self::open(pid, owner).transpose())
            .collect()
    }

    /// None if the process is not the owner's, or has ended.
    fn open(pid: Pid, owner: &Path) -> io::Result<Option<Self>> {
        let is_ours = || procfs::started_with(pid.as_raw_pid(), OWNER_VARIABLE, owner);
        if !is_ours() {
            return Ok(None);
        }
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Once more: the pid may have changed hands before it was held.
        Ok(is_ours().then_some(Self {
            pid: pid.as_raw_pid(),
            descriptor,
        }))
    }

    /// Whether the whole process has ended, which its descriptor tells by being readable.
    ///
    /// `/proc` tells it too early: it shows no environment any more while the process still closes its files.
    fn has_ended(&self) -> io::Result<bool> {
        let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
        match poll(&mut descriptors, Some(&Timespec::default())) {
            Ok(readable) => Ok(readable > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&self, signal: Signal) {
        match pidfd_send_signal(&self.descriptor, signal) {
            // Ended by itself in the meantime.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => {
                tracing::warn!(self.pid, ?signal, %error, "cannot signal a process of an earlier run");
            }
        }
    }
}

/// Waits for the ends of all, and returns those that are still there when `patience` has run out.
async fn those_that_outlast(
    patience: Duration,
    mut leftovers: Vec<Leftover>,
) -> Result<Vec<Leftover>, SupervisorError> {
    let deadline = Instant::now() + patience;
    loop {
        let mut running = Vec::new();
        for leftover in leftovers {
            if !leftover.has_ended().map_err(SupervisorError::Processes)? {
                running.push(leftover);
            }
        }
        if running.is_empty() || Instant::now() >= deadline {
            return Ok(running);
        }
        leftovers = running;
        sleep(PAUSE).await;
    }
}
