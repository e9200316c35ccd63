//! What authorities are to find that validate names of the fleet by http-01 (RFC 8555 §8.3): every replica knows it, from the
//! database, so that no web server has to be touched for a renewal.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::app::App;

/// Longer ones are no token of ours to look for.
const LONGEST_TOKEN: usize = 256;

/// The one resource.
pub fn router() -> Router<App> {
    Router::new().route("/.well-known/acme-challenge/{token}", get(answer))
}

async fn answer(State(app): State<App>, Path(token): Path<String>) -> Response {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    if token.len() > LONGEST_TOKEN || !token.bytes().all(plain) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if app.guard.admit().is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match app.store.fleet.answer_to(&token).await {
        Ok(Some(answer)) => (
            [
                (CONTENT_TYPE, "application/octet-stream"),
                (CACHE_CONTROL, "no-store"),
            ],
            answer,
        )
            .into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(%error, "a challenge of the fleet cannot be answered");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
