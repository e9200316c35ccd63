//! The spans of a trace, and what carries a trace from one process to another.
//!
//! A trace begins with a request or with a job that none has asked for; all else is a [`step`] of one. A process
//! hands the trace on as a [`TraceParent`], and another goes on below it with [`go_on`].
//!
//! Where no traces are taken, a span of [`TARGET`] is disabled before it is made: it costs a look at one number.

use certfleet_domain::TraceParent;
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of all spans that belong to traces, and of no others. They are of the level `TRACE`, so that logs show
/// nothing of them.
pub const TARGET: &str = "certfleet_trace";

/// Whether traces are taken.
pub fn is_on() -> bool {
    tracing::span_enabled!(target: TARGET, tracing::Level::TRACE)
}

/// The span of a part of what is done for the trace that this thread is in; none if it is in none, so that what a process
/// does for nobody begins no traces.
pub fn step(name: &str) -> Span {
    if parent().is_some() {
        tracing::trace_span!(target: TARGET, "step", otel.name = name)
    } else {
        Span::none()
    }
}

/// The span that this thread is in, for what goes on elsewhere; `None` if it is in none.
pub fn parent() -> Option<TraceParent> {
    if !is_on() {
        return None;
    }
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| TraceParent {
        trace: u128::from_be_bytes(span.trace_id().to_bytes()),
        span: u64::from_be_bytes(span.span_id().to_bytes()),
        sampled: span.is_sampled(),
    })
}

/// Has a span that was not entered yet go on below another process's.
pub fn go_on(span: &Span, below: TraceParent) {
    let flags = if below.sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    let remote = SpanContext::new(
        TraceId::from_bytes(below.trace.to_be_bytes()),
        SpanId::from_bytes(below.span.to_be_bytes()),
        flags,
        true,
        TraceState::default(),
    );
    // Refused where no traces are taken.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}

/// Says more of a span.
pub fn tell(span: &Span, name: &'static str, value: impl Into<Value>) {
    span.set_attribute(name, value);
}

/// Marks a span as failed.
pub fn failed(span: &Span, why: &'static str) {
    span.set_status(Status::error(why));
}
