//! Fresh nonces (RFC 8555 §7.2): 200 to HEAD, 204 to GET and to POST-as-GET.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::app::App;
use crate::error::ApiError;
use crate::signed::{AtAuthority, ByAccount};

pub async fn head(State(app): State<App>, _: AtAuthority) -> Response {
    with_nonce(&app, StatusCode::OK)
}

pub async fn get(State(app): State<App>, _: AtAuthority) -> Response {
    with_nonce(&app, StatusCode::NO_CONTENT)
}

pub async fn post(request: ByAccount) -> Result<StatusCode, ApiError> {
    request.jws.expect_post_as_get()?;
    // Every answer to a POST has a nonce.
    Ok(StatusCode::NO_CONTENT)
}

fn with_nonce(app: &App, status: StatusCode) -> Response {
    let mut response = status.into_response();
    super::put_nonce(app, &mut response);
    response
}
