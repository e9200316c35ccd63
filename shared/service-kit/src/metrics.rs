//! What every service counts of itself, and the registry to which it adds its own.
//!
//! What a process does not count but has to ask for, such as what is in the database, is a [`Source`]: it is read when
//! the metrics are, and is left out if it does not answer, so that no figure is older than it looks.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::StatusCode;
use certfleet_domain::{Clock, SystemClock};
use futures_util::future::join_all;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use tokio::time::{Instant, timeout};

/// Upper bounds in seconds: from what one document costs to the longest a request may take.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// The longest a source may take; whoever scrapes waits for it.
const READ_WITHIN: Duration = Duration::from_millis(800);

/// What a source has to tell, in the end.
pub type SourceFuture<'a> = Pin<Box<dyn Future<Output = Vec<MetricFamily>> + Send + 'a>>;

/// Metrics that are asked for at each scrape. Any `Fn() -> impl Future<Output = Vec<MetricFamily>>` is a source.
pub trait Source: Send + Sync {
    /// What there is to tell now; families without any metric are not allowed. Given up after 0.8 s.
    fn read(&self) -> SourceFuture<'_>;
}

impl<F, Answer> Source for F
where
    F: Fn() -> Answer + Send + Sync,
    Answer: Future<Output = Vec<MetricFamily>> + Send + 'static,
{
    fn read(&self) -> SourceFuture<'_> {
        Box::pin(self())
    }
}

/// A process's metrics.
pub struct Metrics {
    registry: Registry,
    sources: RwLock<Vec<Arc<dyn Source>>>,
    requests: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
    uptime: Gauge,
    resident: IntGauge,
    started: Instant,
}

impl Metrics {
    /// A registry with the metrics of the process itself. Time counts from here.
    pub fn new(service: &str, version: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new(
                "certfleet_http_requests_total",
                "HTTP requests answered, by route, method and status",
            ),
            &["route", "method", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "certfleet_http_request_duration_seconds",
                "Time until an HTTP request's answer began, by route and method",
            )
            .buckets(BUCKETS.to_vec()),
            &["route", "method"],
        )?;
        let in_flight = IntGauge::new(
            "certfleet_http_requests_in_flight",
            "HTTP requests not answered yet",
        )?;
        let uptime = Gauge::new(
            "certfleet_uptime_seconds",
            "Time since this process started",
        )?;
        let resident = IntGauge::new(
            "process_resident_memory_bytes",
            "Memory that this process holds in RAM",
        )?;
        let build = IntGauge::with_opts(
            Opts::new("certfleet_build_info", "1, for this service and version")
                .const_label("service", service)
                .const_label("version", version),
        )?;
        build.set(1);
        let begun = IntGauge::new(
            "process_start_time_seconds",
            "When this process started, in Unix time",
        )?;
        begun.set(SystemClock.now().unix_timestamp());
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(uptime.clone()))?;
        registry.register(Box::new(resident.clone()))?;
        registry.register(Box::new(build))?;
        registry.register(Box::new(begun))?;
        Ok(Self {
            registry,
            sources: RwLock::default(),
            requests,
            seconds,
            in_flight,
            uptime,
            resident,
            started: Instant::now(),
        })
    }

    /// Where a service registers its own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Adds what is asked for at each scrape.
    pub fn add_source(&self, source: impl Source + 'static) {
        self.sources
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::new(source));
    }

    /// All metrics in Prometheus' text format. What a source does not tell in time is left out.
    pub async fn render(&self) -> prometheus::Result<String> {
        let sources = self
            .sources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let asked = sources
            .iter()
            .map(|source| timeout(READ_WITHIN, source.read()));
        let told = join_all(asked).await;
        self.uptime.set(self.started.elapsed().as_secs_f64());
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        let mut families = self.registry.gather();
        families.extend(told.into_iter().flatten().flatten());
        TextEncoder::new().encode_to_string(&families)
    }

    /// Counts a request as being in flight until what this returns is dropped.
    pub(crate) fn request(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, route: &str, method: &str, status: StatusCode, after: Duration) {
        self.requests
            .with_label_values(&[route, method, status.as_str()])
            .inc();
        self.seconds
            .with_label_values(&[route, method])
            .observe(after.as_secs_f64());
    }
}

/// A request that has no answer yet; also one whose client went away.
pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
