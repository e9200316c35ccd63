//! What storage counts about itself.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Counters of this process's storage; clones share them.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) transactions: IntCounterVec,
    pub(crate) transaction_seconds: HistogramVec,
    pub(crate) batch_units: Histogram,
    pub(crate) stale_writes: prometheus::IntCounter,
    pub(crate) claims: prometheus::IntCounter,
}

impl Metrics {
    /// New counters, registered with `registry`.
    ///
    /// # Errors
    /// If counters of the same names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            transactions: IntCounterVec::new(
                Opts::new(
                    "certfleet_db_transactions_total",
                    "Transactions by name and outcome",
                ),
                &["name", "outcome"],
            )?,
            transaction_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "certfleet_db_transaction_seconds",
                    "Time of a transaction with its retries",
                )
                .buckets(vec![
                    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0,
                ]),
                &["name"],
            )?,
            batch_units: Histogram::with_opts(
                HistogramOpts::new(
                    "certfleet_db_group_commit_units",
                    "Units of writes per group commit",
                )
                .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]),
            )?,
            stale_writes: prometheus::IntCounter::new(
                "certfleet_jobs_stale_writes_total",
                "Results refused because their lease was lost",
            )?,
            claims: prometheus::IntCounter::new("certfleet_jobs_claimed_total", "Jobs claimed")?,
        };
        registry.register(Box::new(metrics.transactions.clone()))?;
        registry.register(Box::new(metrics.transaction_seconds.clone()))?;
        registry.register(Box::new(metrics.batch_units.clone()))?;
        registry.register(Box::new(metrics.stale_writes.clone()))?;
        registry.register(Box::new(metrics.claims.clone()))?;
        Ok(metrics)
    }
}
