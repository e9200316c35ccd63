//! Seals secrets anew that are under another KEK than the one that seals.

use std::time::Duration;

use certfleet_jobs::Lease;
use certfleet_storage::Unit;
use tokio::time::Instant;

use super::{HandlerError, Handlers};

/// A run goes on for so long: the next is due then, and goes on where this one was.
const RUN: Duration = Duration::from_secs(9);

impl Handlers {
    pub(super) async fn rewrap_secrets(&self, lease: &Lease) -> Result<(), HandlerError> {
        let until = Instant::now() + RUN;
        let rewrapped = self.vault.rewrap(until).await?;
        if rewrapped.sealed > 0 {
            tracing::info!(secrets = rewrapped.sealed, "sealed secrets anew");
        }
        for (name, why) in &rewrapped.left {
            tracing::error!(name, why, "a secret cannot be sealed anew");
        }
        self.metrics.rewrapped(&rewrapped);
        self.finish(lease, Unit::default()).await
    }
}
