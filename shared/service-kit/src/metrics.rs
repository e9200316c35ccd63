//! What every service counts of itself, and the registry to which it adds its own.

use std::fs;
use std::time::Duration;

use axum::http::StatusCode;
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use tokio::time::Instant;

/// Upper bounds in seconds: from what one document costs to the longest a request may take.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// A process's metrics.
pub struct Metrics {
    registry: Registry,
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
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(uptime.clone()))?;
        registry.register(Box::new(resident.clone()))?;
        registry.register(Box::new(build))?;
        Ok(Self {
            registry,
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

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> prometheus::Result<String> {
        self.uptime.set(self.started.elapsed().as_secs_f64());
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
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
