//! What hosts' agents ask for: to be let in, and what is due on their hosts. One file per resource.

mod by_agent;
mod certificate;
mod deliveries;
mod enrol;
mod hand_out;
mod message;
mod reports;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::post;
use certfleet_agent_protocol::{CERTIFICATE, DELIVERIES, ENROL, REPORTS};
use http::HeaderValue;
use http::header::CACHE_CONTROL;

use crate::app::App;
use crate::error::ApiError;

/// All of it. Who asks is told by the certificate that they show: to be served over TLS that asks for one.
pub fn router(app: &App) -> Router<App> {
    Router::new()
        .route(ENROL, post(enrol::post))
        .route(CERTIFICATE, post(certificate::post))
        .route(DELIVERIES, post(deliveries::post))
        .route(REPORTS, post(reports::post))
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .fallback(|| async { ApiError::NotFound("agents ask for nothing at this URL") })
        .layer(middleware::from_fn_with_state(app.clone(), guarded))
}

/// Lets nothing near the database while connections to it are short; and nothing of the answers is to be cached.
async fn guarded(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    app.guard.admit().map_err(ApiError::Pressed)?;
    let mut response = next.run(request).await;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(response)
}
