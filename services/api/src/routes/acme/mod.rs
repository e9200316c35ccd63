//! RFC 8555, one file per resource.

mod account;
mod authorization;
mod binding;
mod certificate;
mod challenge;
mod directory;
mod finalize;
mod key_change;
mod new_account;
mod new_authz;
mod new_nonce;
mod new_order;
mod order;
mod orders;
mod renewal_info;
mod replaces;
mod revoke_cert;

use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, LINK, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use crate::app::App;
use crate::error::ApiError;
use crate::ticket::with_ticket;

const NOTHING_HERE: &str = "there is nothing at this URL; start from the directory";
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// All ACME resources, and the answer to requests for anything else. No request takes longer than `ceiling`.
pub fn router(app: &App, ceiling: Duration) -> Router<App> {
    let of_authority = Router::new()
        .route("/directory", get(directory::get).post(directory::post))
        .route(
            "/new-nonce",
            get(new_nonce::get)
                .head(new_nonce::head)
                .post(new_nonce::post),
        )
        .route("/new-account", post(new_account::post))
        .route("/new-order", post(new_order::post))
        .route("/new-authz", post(new_authz::post))
        .route("/revoke-cert", post(revoke_cert::post))
        .route("/key-change", post(key_change::post))
        .route("/account/{id}", post(account::post))
        .route("/account/{id}/orders", post(orders::post))
        .route("/order/{id}", post(order::post))
        .route("/order/{id}/finalize", post(finalize::post))
        .route("/authorization/{id}", post(authorization::post))
        .route("/challenge/{authorization}/{id}", post(challenge::post))
        .route("/certificate/{id}", post(certificate::post))
        .route(
            "/certificate/{id}/{number}",
            post(certificate::post_alternate),
        )
        .route("/renewal-info/{cert_id}", get(renewal_info::get))
        .route_layer(middleware::from_fn_with_state(app.clone(), with_ticket))
        .route_layer(middleware::from_fn_with_state(
            app.clone(),
            link_to_directory,
        ));
    Router::new()
        .route("/directory", get(directory::get).post(directory::post))
        .route_layer(middleware::from_fn_with_state(app.clone(), with_ticket))
        .nest("/acme/{authority}", of_authority)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .fallback(|| async { ApiError::NotFound(NOTHING_HERE) })
        .layer(middleware::from_fn(move |request, next| {
            within(ceiling, request, next)
        }))
        .layer(middleware::from_fn_with_state(app.clone(), guarded))
        .layer(middleware::from_fn(readable_path))
        // Outermost, so that no error lacks a nonce.
        .layer(middleware::from_fn_with_state(app.clone(), fresh_nonce))
}

/// A path that is no text names nothing.
async fn readable_path(request: Request, next: Next) -> Result<Response, ApiError> {
    let path = percent_decode_str(request.uri().path());
    if path.decode_utf8().is_err() {
        return Err(ApiError::NotFound(NOTHING_HERE));
    }
    Ok(next.run(request).await)
}

/// Lets nothing near the database while connections to it are short. Directories and nonces have as good as nothing to
/// do with it.
async fn guarded(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.method() == Method::POST {
        app.guard.admit().map_err(ApiError::Pressed)?;
    }
    Ok(next.run(request).await)
}

/// What takes longer is given up, and its client told to try again.
async fn within(ceiling: Duration, request: Request, next: Next) -> Result<Response, ApiError> {
    tokio::time::timeout(ceiling, next.run(request))
        .await
        .map_err(|_| ApiError::TooSlow)
}

/// A fresh nonce with every answer to a POST, errors included (RFC 8555 §6.5); and nothing of it is to be cached.
async fn fresh_nonce(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_post = request.method() == Method::POST;
    let mut response = next.run(request).await;
    if is_post {
        put_nonce(&app, &mut response);
    }
    response
}

fn put_nonce(app: &App, response: &mut Response) {
    let headers = response.headers_mut();
    if let Ok(nonce) = HeaderValue::from_str(&app.mint_nonce()) {
        headers.insert(REPLAY_NONCE, nonce);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// `Link: rel="index"` with every answer but the directory itself (RFC 8555 §7.1).
async fn link_to_directory(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    request: Request,
    next: Next,
) -> Response {
    let mut segments = uri.path().split('/').skip(2);
    let authority = segments.next().and_then(|name| name.parse().ok());
    let is_directory = segments.next() == Some("directory");
    let mut response = next.run(request).await;
    if let Some(authority) = authority
        && !is_directory
    {
        link(
            &mut response,
            &app.url.authority(&authority).directory(),
            "index",
        );
    }
    response
}

/// Adds a link.
fn link(response: &mut Response, url: &str, relation: &str) {
    if let Ok(link) = HeaderValue::from_str(&format!("<{url}>;rel=\"{relation}\"")) {
        response.headers_mut().append(LINK, link);
    }
}

/// Says when to ask again.
fn retry_after(app: &App, response: &mut Response) {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(app.policy.retry_after));
}
