//! What happens to every HTTP request before its handler: it gets a client address and an id, runs in
//! a span that bears both, begins a trace or goes on with one, and is counted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use certfleet_domain::{SystemRng, TraceParent};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::client_ip::{ClientIp, client_ip};
use crate::metrics::Metrics;
use crate::request_id::{self, RequestId};
use crate::settings::Networks;

/// The outermost layer of a service's HTTP routes.
#[derive(Clone)]
pub struct Edge {
    trusted_proxies: Arc<Networks>,
    metrics: Arc<Metrics>,
}

impl Edge {
    /// An edge that believes these proxies and counts here.
    pub fn new(trusted_proxies: Networks, metrics: Arc<Metrics>) -> Self {
        Self {
            trusted_proxies: Arc::new(trusted_proxies),
            metrics,
        }
    }

    /// Lays the edge around all routes that the router has by now, and its fallback.
    pub fn wrap(self, router: Router) -> Router {
        router.layer(from_fn_with_state(self, handle))
    }
}

/// The header by which a trace goes on (W3C Trace Context).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

impl Edge {
    /// The request's span in its trace. Only a trusted proxy has it go on with a trace of its own: others could have
    /// every request of theirs recorded, and put it into traces of ours.
    fn trace(
        &self,
        request: &Request,
        (peer, client): (IpAddr, IpAddr),
        (method, route): (&'static str, &str),
        id: &RequestId,
    ) -> Span {
        // No path, which may hold what others must not see: the route says where it went.
        let span = tracing::trace_span!(
            target: certfleet_trace::TARGET,
            "http",
            otel.name = format_args!("{method} {route}"),
            otel.kind = "server",
            http.request.method = method,
            http.route = route,
            client.address = %client,
            request_id = %id,
        );
        let trusted = self.trusted_proxies.contains(peer);
        if let Some(parent) = given_parent(request.headers()).filter(|_| trusted) {
            certfleet_trace::go_on(&span, parent);
        }
        span
    }
}

fn given_parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACE_PARENT)?.to_str().ok()?.parse().ok()
}

fn tell_status(trace: &Span, status: StatusCode) {
    let code = i64::from(status.as_u16());
    certfleet_trace::tell(trace, "http.response.status_code", code);
    if status.is_server_error() {
        certfleet_trace::failed(trace, "answered with a server error");
    }
}

async fn handle(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let _in_flight = edge.metrics.request();
    let peer = peer(&request);
    let client = client_ip(peer, request.headers(), &edge.trusted_proxies);
    let id = RequestId::of(
        peer,
        request.headers(),
        &edge.trusted_proxies,
        &mut SystemRng,
    );
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    // An error's span is shown at every level of logging.
    let span = tracing::error_span!("request", request_id = %id, method, route, client = %client);
    let trace = span.in_scope(|| edge.trace(&request, (peer, client), (method, route), &id));
    request.extensions_mut().insert(ClientIp(client));
    request.extensions_mut().insert(id.clone());

    let answered = next.run(request).instrument(trace.clone());
    let mut response = answered.instrument(span.clone()).await;

    if let Some(value) = id.header_value() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let (status, after) = (response.status(), begun.elapsed());
    edge.metrics.answered(route, method, status, after);
    tell_status(&trace, status);
    let milliseconds = after.as_millis();
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), milliseconds, "answered");
        } else {
            tracing::debug!(status = status.as_u16(), milliseconds, "answered");
        }
    });
    response
}

fn peer(request: &Request) -> IpAddr {
    // Always there behind `crate::serve`; without it, nobody is trusted.
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip())
}

/// Anybody can make up methods, and each label is a time series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
