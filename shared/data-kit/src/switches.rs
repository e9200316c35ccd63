//! The cluster's switches, as a process last saw them.

use std::time::Duration;

use certfleet_service_kit::{Condition, Health, Importance};
use certfleet_storage::{Store, Switches};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a process looks: how long a switch may take to be seen everywhere.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the switches, and again every second until `stop`; as long as they cannot be read, they stand as they were.
pub async fn watch_switches(
    store: &Store,
    stop: CancellationToken,
) -> anyhow::Result<watch::Receiver<Switches>> {
    let board = store.switches.clone();
    let (tell, switches) = watch::channel(board.read().await?);
    let looking = async move {
        loop {
            tokio::time::sleep(LOOK).await;
            match board.read().await {
                Ok(now) => {
                    tell.send_if_modified(|known| {
                        let changed = *known != now;
                        if changed {
                            tracing::info!(?now, "the switches have changed");
                            *known = now;
                        }
                        changed
                    });
                }
                Err(error) => tracing::warn!(%error, "the switches are not reached"),
            }
        }
    };
    tokio::spawn(async move { stop.run_until_cancelled(looking).await });
    Ok(switches)
}

/// The switches, as an auxiliary part: degraded while something is switched off.
pub fn check_switches(switches: &watch::Receiver<Switches>, health: &Health) {
    let switches = switches.clone();
    health.register("switches", Importance::Auxiliary, move || {
        let condition = condition_of_switches(&switches.borrow());
        async move { condition }
    });
}

/// How the switches stand: degraded while something is switched off.
pub fn condition_of_switches(switches: &Switches) -> Condition {
    let mut off = Vec::new();
    if let Some(maintenance) = &switches.maintenance {
        let reason = match maintenance.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        off.push(format!("maintenance since {}{reason}", maintenance.since));
    }
    if !switches.paused.is_empty() {
        let kinds: Vec<&str> = switches.paused.iter().map(String::as_str).collect();
        off.push(format!("paused: {}", kinds.join(", ")));
    }
    if off.is_empty() {
        Condition::ok()
    } else {
        Condition::degraded(off.join("; "))
    }
}
