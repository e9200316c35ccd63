//! `/livez`, `/readyz`, `/healthz` and `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::watch;

use crate::health::{Health, Status};
use crate::metrics::Metrics;
use crate::settings::SecretText;

const NO_STORE: [(axum::http::HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// The probes alone, for a port that is public.
pub fn probes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/healthz", get(healthz))
        .with_state(health)
}

/// The probes and the metrics, for the management port. With a token, the metrics ask for it.
pub fn management(
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    token: watch::Receiver<Option<SecretText>>,
) -> Router {
    let metrics = Router::new()
        .route("/metrics", get(render))
        .with_state((metrics, token));
    probes(health).merge(metrics)
}

#[derive(Serialize)]
struct Live {
    alive: bool,
    version: &'static str,
}

async fn livez(State(health): State<Arc<Health>>) -> Response {
    let live = Live {
        alive: true,
        version: health.version(),
    };
    (NO_STORE, Json(live)).into_response()
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let reason = health.not_ready().await;
    let ready = reason.is_none();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, NO_STORE, Json(Ready { ready, reason })).into_response()
}

async fn healthz(State(health): State<Arc<Health>>) -> Response {
    let report = health.report().await;
    let status = match report.status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Bad => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, NO_STORE, Json(&*report)).into_response()
}

type MetricsState = (Arc<Metrics>, watch::Receiver<Option<SecretText>>);

async fn render(State((metrics, token)): State<MetricsState>, headers: HeaderMap) -> Response {
    let allowed = token
        .borrow()
        .as_ref()
        .is_none_or(|token| bears(&headers, token));
    if !allowed {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    }
    match metrics.render().await {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Whether the request bears the token (RFC 6750 §2.1); the scheme's name has no case.
fn bears(headers: &HeaderMap, token: &SecretText) -> bool {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return false;
    };
    let halves = value.as_bytes().split_at_checked("Bearer ".len());
    halves.is_some_and(|(scheme, given)| {
        scheme.eq_ignore_ascii_case(b"Bearer ") && token.matches(given)
    })
}
