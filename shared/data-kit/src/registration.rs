//! A process in the register of those that are alive.

use certfleet_domain::ServerId;
use certfleet_storage::{Process, Processes, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A process that says it is alive until it is dropped or ended.
pub struct Registration {
    processes: Processes,
    process: Process,
    alive: watch::Receiver<Vec<ServerId>>,
    end: CancellationToken,
}

/// Registers the process, and says again and again that it is alive.
pub async fn register(store: &Store, process: Process) -> anyhow::Result<Registration> {
    let processes = store.processes.clone();
    let end = CancellationToken::new();
    processes.seen(&process).await?;
    let (tell, alive) = watch::channel(processes.alive(process.service).await?);
    tokio::spawn({
        let (processes, process, end) = (processes.clone(), process.clone(), end.clone());
        async move {
            end.run_until_cancelled(keep_saying(processes, process, tell))
                .await;
        }
    });
    Ok(Registration {
        processes,
        process,
        alive,
        end,
    })
}

impl Registration {
    /// The processes of the same service that are alive, this one among them, as far as is known.
    pub fn alive(&self) -> watch::Receiver<Vec<ServerId>> {
        self.alive.clone()
    }

    /// Says that the process goes, so that others need not wait to find out.
    pub async fn end(self) {
        self.end.cancel();
        if let Err(error) = self.processes.gone(self.process.id).await {
            tracing::debug!(%error, "the others will find out by themselves that this process is gone");
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn keep_saying(processes: Processes, process: Process, tell: watch::Sender<Vec<ServerId>>) {
    loop {
        tokio::time::sleep(Processes::SAY_EVERY).await;
        if let Err(error) = processes.seen(&process).await {
            tracing::warn!(%error, "the register of processes is not reached");
            continue;
        }
        match processes.alive(process.service).await {
            Ok(alive) => {
                tell.send_if_modified(|known| {
                    let changed = *known != alive;
                    *known = alive;
                    changed
                });
            }
            Err(error) => tracing::warn!(%error, "the register of processes is not reached"),
        }
    }
}
