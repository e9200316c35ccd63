//! What an earlier supervisor of the same data directory left running, because it was killed.
//!
//! Every process is started with its data directory in the environment ([`OWNER_VARIABLE`]). So no list of pids has to
//! be kept, which a crash could cut short, and a pid that now belongs to someone else is never taken for ours.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::error::SupervisorError;
use crate::process::OWNER_VARIABLE;
use crate::procfs;

/// How long an ended process may take to be seen as ended after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// There is no event for the end of a process that is not a child.
const PAUSE: Duration = Duration::from_millis(25);

/// Stops what an earlier run left, cleanly, and after `patience` by force. Returns the pids.
///
/// `owner` is the canonical path of the data directory, whose lock the caller holds: without it, a running cluster
/// would be stopped.
pub async fn stop_leftovers(owner: &Path, patience: Duration) -> Result<Vec<i32>, SupervisorError> {
    let found = running(owner);
    for pid in &found {
        tracing::info!(pid, "stopping a process of an earlier run");
        send(*pid, Signal::SIGTERM);
        // A stopped one could not act on it.
        send(*pid, Signal::SIGCONT);
    }
    if !gone_within(owner, patience).await {
        for pid in running(owner) {
            tracing::warn!(pid, "killing a process of an earlier run");
            send(pid, Signal::SIGKILL);
        }
        if !gone_within(owner, AFTER_KILL).await
            && let Some(pid) = running(owner).first()
        {
            return Err(SupervisorError::Unkillable { pid: *pid });
        }
    }
    Ok(found)
}

fn running(owner: &Path) -> Vec<i32> {
    let this = Pid::this().as_raw();
    procfs::pids()
        .into_iter()
        .filter(|pid| *pid != this && procfs::started_with(*pid, OWNER_VARIABLE, owner))
        .collect()
}

fn send(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        // Gone by itself in the meantime.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => {
            tracing::warn!(pid, %signal, %error, "cannot signal a process of an earlier run");
        }
    }
}

async fn gone_within(owner: &Path, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while !running(owner).is_empty() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(PAUSE).await;
    }
    true
}
