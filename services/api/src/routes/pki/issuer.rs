//! Issuers' own certificates, for who was given a chain with a gap (RFC 5280 §4.2.2.1, caIssuers).

use axum::extract::{Path, State};
use axum::response::Response;
use certfleet_domain::IssuerId;
use certfleet_pki::validity_of_certificate;
use http::HeaderMap;

use super::cached::Cached;
use crate::app::App;
use crate::error::ApiError;

const NONE: ApiError = ApiError::NotFound("there is no issuer of this URL");

pub async fn get(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = file.strip_suffix(".cer").ok_or(NONE)?;
    let id: IssuerId = id.parse().map_err(|_| NONE)?;
    app.guard.admit().map_err(ApiError::Pressed)?;
    let authority = app.authorities.of_issuer(id).await?.ok_or(NONE)?;
    let issuer = authority.issuer(id).ok_or(NONE)?;
    let (since, until) = validity_of_certificate(&issuer.certificate)
        .map_err(|error| ApiError::Internal(format!("issuer {id}: {error}")))?;
    let cached = Cached {
        content_type: "application/pkix-cert",
        body: issuer.certificate.clone(),
        tag: id.to_string(),
        since,
        until,
    };
    Ok(cached.answer(app.now(), &headers))
}
