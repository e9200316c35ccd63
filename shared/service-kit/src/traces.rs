//! Traces: spans of the target [`certfleet_trace::TARGET`], sent to an OTLP receiver.
//!
//! **Promise.** The work never waits for the receiver. Ended spans wait in a queue of bounded length; a thread of its own
//! sends them off, and what does not fit or is not taken is gone, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use certfleet_domain::ServerId;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::runtime::Handle;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;

use crate::run::Program;
use crate::settings::Telemetry;

/// The longest that sending one batch may take.
const SENT_WITHIN: Duration = Duration::from_secs(5);
/// The longest that the end of the process waits for the last batch.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// What takes the spans down.
pub(crate) type SpanLayer = Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>;

/// The traces of this process.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    counts: Counts,
}

impl Traces {
    /// Begins to take traces, if the settings say where they go.
    pub(crate) fn start(
        settings: &Telemetry,
        program: Program,
        server: ServerId,
        runtime: &Handle,
    ) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(None);
        };
        let http = reqwest::Client::builder().timeout(SENT_WITHIN).build()?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(http)
            .with_endpoint(endpoint.traces_url())
            .with_timeout(SENT_WITHIN)
            .build()
            .context("telemetry.otlp_endpoint")?;
        let counts = Counts::new()?;
        let sending = Sending {
            exporter: Arc::new(exporter),
            runtime: runtime.clone(),
            counts: counts.clone(),
            failing: AtomicBool::new(false),
        };
        let processor = Counting {
            queue: BatchSpanProcessor::builder(sending).build(),
            counts: counts.clone(),
        };
        let resource = Resource::builder()
            .with_service_name(program.name)
            .with_attribute(KeyValue::new("service.version", program.version))
            .with_attribute(KeyValue::new("service.instance.id", server.to_string()))
            .build();
        // Whoever began a trace has decided for all of its processes.
        let sampler = Sampler::TraceIdRatioBased(settings.sample_ratio.get());
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource)
            .with_span_processor(processor)
            .build();
        Ok(Some(Self { provider, counts }))
    }

    /// What takes down the spans of our target, and nothing else.
    pub(crate) fn layer(&self) -> SpanLayer {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("certfleet"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && metadata.target() == certfleet_trace::TARGET
            }))
            .boxed()
    }

    /// Has the metrics tell what became of spans.
    pub(crate) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.counts.0.clone()))
    }

    /// Sends what waits, within 2 s. Not from within the runtime, which does the sending.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_WITHIN) {
            tracing::warn!(%error, "the last spans are not sent");
        }
    }
}

/// How many spans ended, were taken by the receiver, and were not. The rest waits, or found the queue full.
#[derive(Debug, Clone)]
struct Counts(IntCounterVec);

impl Counts {
    fn new() -> prometheus::Result<Self> {
        let counts = IntCounterVec::new(
            Opts::new(
                "certfleet_trace_spans_total",
                "Spans of traces: ended, sent to the receiver, or failed to be",
            ),
            &["result"],
        )?;
        for result in ["ended", "sent", "failed"] {
            counts.with_label_values(&[result]);
        }
        Ok(Self(counts))
    }

    fn add(&self, result: &str, spans: usize) {
        self.0.with_label_values(&[result]).inc_by(spans as u64);
    }
}

/// The queue, and who counts what goes in.
#[derive(Debug)]
struct Counting {
    queue: BatchSpanProcessor,
    counts: Counts,
}

impl SpanProcessor for Counting {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.queue.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.counts.add("ended", 1);
        self.queue.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

/// Sends batches on the runtime: the queue's thread has none, and the HTTP client needs one.
#[derive(Debug)]
struct Sending {
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: Handle,
    counts: Counts,
    /// Whether the last batch was not taken.
    failing: AtomicBool,
}

impl SpanExporter for Sending {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exporter = Arc::clone(&self.exporter);
        let sent = self
            .runtime
            .spawn(async move { exporter.export(batch).await })
            .await
            .unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        // Told when it begins and when it ends: not with each batch.
        let was_failing = self.failing.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Ok(()) => {
                self.counts.add("sent", spans);
                if was_failing {
                    tracing::info!("traces are sent again");
                }
            }
            Err(error) => {
                self.counts.add("failed", spans);
                if !was_failing {
                    tracing::warn!(%error, "traces are not sent; what becomes of others is only counted");
                }
            }
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nobody else has it before the first batch.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}
