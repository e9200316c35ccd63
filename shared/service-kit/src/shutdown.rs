//! How a process is told to stop, and to look at its files again.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the process is told by signals.
#[derive(Clone)]
pub struct Signals {
    /// Cancelled by the first SIGTERM or SIGINT. A second one ends the process at once.
    pub shutdown: CancellationToken,
    /// Grows with each SIGHUP.
    pub reload: watch::Receiver<u64>,
}

impl Signals {
    /// Listens from here on; no signal after this is lost. Needs a runtime.
    pub fn listen() -> io::Result<Self> {
        let shutdown = CancellationToken::new();
        let (hangups, reload) = watch::channel(0);
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        tokio::spawn(stop(terminate, interrupt, shutdown.clone()));
        tokio::spawn(count(hangup, hangups));
        Ok(Self { shutdown, reload })
    }
}

async fn stop(mut terminate: Signal, mut interrupt: Signal, shutdown: CancellationToken) {
    either(&mut terminate, &mut interrupt).await;
    tracing::info!("told to stop; finishing what runs");
    shutdown.cancel();
    either(&mut terminate, &mut interrupt).await;
    tracing::warn!("told to stop again; ending at once");
    std::process::exit(130);
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

async fn count(mut hangup: Signal, hangups: watch::Sender<u64>) {
    while hangup.recv().await.is_some() {
        hangups.send_modify(|count| *count += 1);
    }
}

/// Waits for work that was told to end, but no longer than `limit`; `None` if that was not enough.
pub async fn drain<F: Future>(what: &str, limit: Duration, work: F) -> Option<F::Output> {
    let done = tokio::time::timeout(limit, work).await.ok();
    if done.is_some() {
        tracing::info!("{what}: all done");
    } else {
        tracing::warn!("{what}: not done within {limit:?}; the rest is given up");
    }
    done
}
