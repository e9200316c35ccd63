//! What every request passes, and what is answered where there is nothing.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use http::header::CACHE_CONTROL;

use super::problem::RestError;
use crate::app::App;

/// Lets nothing near the database while connections to it are short; and nothing of the answers is to be cached.
pub async fn guarded(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, RestError> {
    app.guard.admit().map_err(RestError::Pressed)?;
    let mut response = next.run(request).await;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(response)
}

/// What takes longer is given up.
pub async fn within(
    ceiling: Duration,
    request: Request,
    next: Next,
) -> Result<Response, RestError> {
    tokio::time::timeout(ceiling, next.run(request))
        .await
        .map_err(|_| RestError::TooSlow)
}

pub async fn method_not_allowed() -> RestError {
    RestError::MethodNotAllowed
}

pub async fn nothing_here() -> RestError {
    let what = "there is nothing at this URL: /api/v1/openapi.json says what there is";
    RestError::NotFound(what.to_owned())
}
