//! The last signed checkpoint of the audit trail, and the key to it, for whoever watches the log from outside.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::app::App;
use crate::error::ApiError;

const NOTHING: ApiError = ApiError::NotFound("nothing of the audit trail is signed yet");

/// Both.
pub fn router() -> Router<App> {
    Router::new()
        .route("/audit/checkpoint", get(checkpoint))
        .route("/audit/key", get(key))
}

async fn checkpoint(State(app): State<App>) -> Result<Response, ApiError> {
    app.guard.admit().map_err(ApiError::Pressed)?;
    let last = app.store.audit().last_checkpoint().await?;
    Ok(text(last.ok_or(NOTHING)?.note))
}

async fn key(State(app): State<App>) -> Result<Response, ApiError> {
    app.guard.admit().map_err(ApiError::Pressed)?;
    let key = app.store.audit().key().await?;
    Ok(text(format!("{}\n", key.ok_or(NOTHING)?)))
}

fn text(body: String) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("max-age=5, public")),
    ];
    (headers, body).into_response()
}
