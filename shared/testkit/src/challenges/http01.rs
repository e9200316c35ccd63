//! HTTP-01 (RFC 8555 §8.3): key authorizations and redirects.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use super::answers::Answers;

const PREFIX: &str = "/.well-known/acme-challenge/";

pub(super) async fn serve(listener: TcpListener, answers: Arc<Answers>) {
    let router = Router::new().fallback(answer).with_state(answers);
    let _ = axum::serve(listener, router).await;
}

async fn answer(State(answers): State<Arc<Answers>>, headers: HeaderMap, uri: Uri) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    answers.note_request(format!("{host} {uri}"));
    if let Some(target) = answers.redirect(uri.path()) {
        return (StatusCode::FOUND, [(header::LOCATION, target)]).into_response();
    }
    let token = uri.path().strip_prefix(PREFIX);
    match token.and_then(|token| answers.http01(token)) {
        // With the type of RFC 8555's example.
        Some(text) => ([(header::CONTENT_TYPE, "application/octet-stream")], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
