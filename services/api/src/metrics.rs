//! What the API counts of what it does; requests are counted at the edge.

use certfleet_domain::RevocationReason;
use prometheus::{IntCounterVec, Opts, Registry};

/// Counters of what was done.
pub struct Metrics {
    revocations: IntCounterVec,
}

impl Metrics {
    /// New counters, registered with `registry`.
    ///
    /// # Errors
    /// If counters of the same names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let revocations = IntCounterVec::new(
            Opts::new(
                "certfleet_revocations_total",
                "Certificates that were revoked, by reason",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(revocations.clone()))?;
        Ok(Self { revocations })
    }

    /// A certificate is revoked, and that is written.
    pub fn revoked(&self, reason: RevocationReason) {
        self.revocations.with_label_values(&[reason.name()]).inc();
    }
}
