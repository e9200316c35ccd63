//! What a worker counts.

use certfleet_jobs::JobKind;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use tokio::time::Instant;

/// Counters of jobs; clones share them.
#[derive(Clone)]
pub struct Metrics {
    jobs: IntCounterVec,
    seconds: HistogramVec,
}

impl Metrics {
    /// New counters, registered with `registry`.
    ///
    /// # Errors
    /// If counters of the same names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let jobs = IntCounterVec::new(
            Opts::new(
                "certfleet_jobs_total",
                "Attempts at jobs by kind and outcome",
            ),
            &["kind", "outcome"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "certfleet_job_seconds",
                "Time of an attempt at a job, by kind",
            )
            .buckets(vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
            ]),
            &["kind"],
        )?;
        registry.register(Box::new(jobs.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { jobs, seconds })
    }

    /// An attempt begins.
    #[expect(clippy::unused_self, reason = "the pair of `ended`")]
    pub fn started(&self, _kind: JobKind) -> Instant {
        Instant::now()
    }

    /// An attempt ended.
    pub fn ended(&self, kind: JobKind, outcome: &str, started: Instant) {
        self.jobs.with_label_values(&[kind.name(), outcome]).inc();
        self.seconds
            .with_label_values(&[kind.name()])
            .observe(started.elapsed().as_secs_f64());
    }
}
