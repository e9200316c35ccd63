//! Sends what is new in the audit trail to whoever collects such things.

use std::time::Duration;

use certfleet_audit::Entry;
use certfleet_forwarding::{ForwardError, Forwarder, Settings};
use certfleet_jobs::Lease;
use certfleet_storage::{StorageError, Unit};
use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::{HandlerError, Handlers};

/// A delivery takes whole blocks until it has so many octets of events.
const ENOUGH: usize = 512 * 1024;
/// A run goes on for so long: the next is due then.
const RUN: Duration = Duration::from_secs(9);

/// Why a run ended before its time.
enum Trouble {
    Storage(StorageError),
    /// What was sent from this entry on may not have arrived.
    Receiver {
        from: u64,
        error: ForwardError,
    },
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Handlers {
    /// A receiver's trouble is no trouble of the job: it is kept, and the next run begins where nothing is in doubt.
    pub(super) async fn forward_events(&self, lease: &Lease) -> Result<(), HandlerError> {
        if let Some(settings) = self.siem.forwarding() {
            match self.forward(settings).await {
                Ok(()) => {}
                Err(Trouble::Storage(error)) => return Err(error.into()),
                Err(Trouble::Receiver { from, error }) => {
                    let (receiver, error) = (&self.siem.name, error.to_string());
                    tracing::warn!(receiver, from, error, "the audit trail could not be sent");
                    self.metrics.not_forwarded();
                    let audit = self.store.audit();
                    audit.forward_again(receiver, from, &error).await?;
                }
            }
        }
        self.finish(lease, Unit::default()).await
    }

    /// Sends what the receiver does not have, until it has all of it, or another is at it, or time is up. Of one that was
    /// paused between a delivery and the note of it, or dies there, the receiver gets that delivery again.
    async fn forward(&self, settings: Settings) -> Result<(), Trouble> {
        let (audit, receiver) = (self.store.audit(), &self.siem.name);
        let began = Instant::now();
        let mut next = audit.forwarded(receiver).await?.next;
        if next >= audit.head().await?.size() {
            return Ok(());
        }
        let in_doubt = |from| move |error| Trouble::Receiver { from, error };
        let forwarder = Forwarder::new(settings).map_err(in_doubt(next))?;
        let mut blocks = audit.blocks_from(next).await?;
        while began.elapsed() < RUN {
            let mut entries: Vec<Entry> = Vec::new();
            let mut octets = 0;
            while octets < ENOUGH
                && let Some(block) = blocks.try_next().await?
            {
                let before = entries.len();
                entries.extend(block.entries_from(next));
                octets += entries[before..]
                    .iter()
                    .map(|entry| entry.event.len())
                    .sum::<usize>();
            }
            let Some(last) = entries.last() else {
                return Ok(());
            };
            let to = last.number + 1;
            forwarder.deliver(&entries).await.map_err(in_doubt(next))?;
            if !audit.forward(receiver, next, to).await? {
                return Ok(());
            }
            self.metrics.forwarded(entries.len());
            next = to;
        }
        Ok(())
    }
}
