//! `certfleet up`: the whole cluster on one machine, from nothing to an issued certificate, until Ctrl-C.
//!
//! [`start`] is the walk through the steps, each a file of its own; [`supervise`] is what comes after it. However the
//! start ends, and whenever it is interrupted, all that was started is stopped before this returns.

mod answer;
mod args;
mod authority;
mod database;
mod demonstrate;
mod drill;
mod fleet;
mod kek;
mod operator;
mod ports;
mod programs;
mod progress;
mod services;
mod settings;
mod start;
mod summary;
mod supervise;
mod token;
mod upstream;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certfleet_service_kit::Signals;
use certfleet_supervisor::{Cluster, DataLock, stop_leftovers};

pub use args::UpArgs;
pub use drill::{DrillArgs, run as drill};
pub use operator::write as write_file;
use progress::Progress;
use start::start;
use supervise::supervise;

use crate::failure::Failure;
use crate::output::Output;

/// How long what an earlier run left may take to end by itself.
const LEFTOVERS_WITHIN: Duration = Duration::from_secs(30);

/// Starts the cluster and keeps it running until Ctrl-C or SIGTERM.
pub async fn run(args: UpArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let progress = Progress::new(out.is_json());
    let signals = Signals::listen()?;
    let shutdown = &signals.shutdown;
    stop_with_the_terminal(&signals);
    let mut cluster = None;
    let starting = start(&args, config, &progress, &mut cluster);
    let started = shutdown.run_until_cancelled(Box::pin(starting)).await;
    let outcome = match started {
        None => Err(Failure::Interrupted),
        Some(Err(failure)) => Err(failure),
        Some(Ok(ready)) => ready.tell(out),
    };
    if let (Ok(()), Some(cluster)) = (&outcome, &mut cluster) {
        supervise(cluster, &progress, shutdown).await;
    }
    let stopped = match cluster {
        Some(cluster) => progress.step("stop", stop(cluster)).await,
        None => Ok(()),
    };
    await_leftovers(&args.data).await?;
    outcome.and(stopped)
}

/// A SIGHUP says that the terminal is gone, for whoever has one.
fn stop_with_the_terminal(signals: &Signals) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let (mut hangups, shutdown) = (signals.reload.clone(), signals.shutdown.clone());
    tokio::spawn(async move {
        if hangups.changed().await.is_ok() {
            shutdown.cancel();
        }
    });
}

/// Stops what was started.
async fn stop(cluster: Cluster) -> Result<((), String), Failure> {
    let killed = cluster.stop().await?;
    let said = match killed.as_slice() {
        [] => "everything is stopped".to_owned(),
        killed => format!("everything is stopped; killed: {}", killed.join(", ")),
    };
    Ok(((), said))
}

/// Waits for what a broken-off start has let go of.
async fn await_leftovers(data: &Path) -> Result<(), Failure> {
    if !data.is_dir() {
        return Ok(());
    }
    // Without the lock, the processes there are another cluster's.
    if let Ok(lock) = DataLock::take(data) {
        stop_leftovers(lock.directory(), LEFTOVERS_WITHIN).await?;
    }
    Ok(())
}
