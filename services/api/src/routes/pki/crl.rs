//! CRLs, as workers have signed them.

use axum::extract::{Path, State};
use axum::response::Response;
use certfleet_domain::{CrlShard, IssuerId};
use http::HeaderMap;

use super::cached::Cached;
use crate::app::App;
use crate::error::ApiError;

const NONE: ApiError = ApiError::NotFound("there is no CRL of this URL");

pub async fn get(
    State(app): State<App>,
    Path((issuer, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let issuer: IssuerId = issuer.parse().map_err(|_| NONE)?;
    let shard = file.strip_suffix(".crl").ok_or(NONE)?;
    let shard: CrlShard = shard.parse().map_err(|_| NONE)?;
    app.guard.admit().map_err(ApiError::Pressed)?;
    let Some(crl) = app.store.crls.find(issuer, shard).await? else {
        let known = app.authorities.of_issuer(issuer).await?.is_some();
        return Err(if known { ApiError::NotSignedYet } else { NONE });
    };
    let cached = Cached {
        content_type: "application/pkix-crl",
        body: crl.der,
        tag: crl.number.to_string(),
        since: crl.this_update,
        until: crl.next_update,
    };
    Ok(cached.answer(app.now(), &headers))
}
