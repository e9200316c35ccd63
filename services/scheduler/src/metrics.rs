//! What a scheduler counts.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Counters of the election and the duties; clones share them.
#[derive(Clone)]
pub struct Metrics {
    leader: IntGauge,
    terms: IntCounter,
    runs: IntCounterVec,
    late: HistogramVec,
}

impl Metrics {
    /// New counters, registered with `registry`.
    ///
    /// # Errors
    /// If counters of the same names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            leader: IntGauge::new("certfleet_leader", "1 while this scheduler leads, else 0")?,
            terms: IntCounter::new(
                "certfleet_lease_changes_total",
                "How often this scheduler took the lead",
            )?,
            runs: IntCounterVec::new(
                Opts::new(
                    "certfleet_duty_runs_total",
                    "Runs of duties by whether they were enqueued; how they ended, certfleet_jobs_total has by kind",
                ),
                &["duty", "result"],
            )?,
            late: HistogramVec::new(
                HistogramOpts::new(
                    "certfleet_duty_late_seconds",
                    "How long after it was due a run was enqueued",
                )
                .buckets(vec![0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 120.0]),
                &["duty"],
            )?,
        };
        registry.register(Box::new(metrics.leader.clone()))?;
        registry.register(Box::new(metrics.terms.clone()))?;
        registry.register(Box::new(metrics.runs.clone()))?;
        registry.register(Box::new(metrics.late.clone()))?;
        Ok(metrics)
    }

    /// This process begins to lead, or ends to.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if leads {
            self.terms.inc();
        }
    }

    /// A duty's run was enqueued, so long after it was due.
    pub fn enqueued(&self, duty: &str, late: Duration) {
        self.runs.with_label_values(&[duty, "enqueued"]).inc();
        self.late
            .with_label_values(&[duty])
            .observe(late.as_secs_f64());
    }

    /// A duty's run was not enqueued.
    pub fn not_enqueued(&self, duty: &str, why: &str) {
        self.runs.with_label_values(&[duty, why]).inc();
    }
}
