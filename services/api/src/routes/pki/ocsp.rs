//! The OCSP responder (RFC 6960, RFC 5019), without a key: workers sign what is asked for, once, and it is given out until
//! half its time is over or it is not true any more.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certfleet_domain::{
    Authority, CertIdHash, Certificate, CertificateState, OcspResponse, Serial,
};
use certfleet_jobs::Job;
use certfleet_pki::{CertId, OcspRefusal};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::cached::Cached;
use crate::app::{App, Enqueued};
use crate::body;
use crate::error::ApiError;

/// The largest request, in octets: one for one certificate has about a hundred, and somebody's extensions.
const MAX_REQUEST: usize = 4096;

const REQUEST: &str = "application/ocsp-request";
const RESPONSE: &str = "application/ocsp-response";

/// The request is the body.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    if headers
        .get(CONTENT_TYPE)
        .is_none_or(|given| given != REQUEST)
    {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "application/ocsp-request is due\n",
        )
            .into_response();
    }
    let request = body::read(body).await.ok();
    answer(&app, request.as_deref(), &headers).await
}

/// The request is the path, base64 (RFC 6960 §A.1): what was escaped is not any more, and slashes belong to it.
pub async fn get(
    State(app): State<App>,
    Path(request): Path<String>,
    headers: HeaderMap,
) -> Response {
    let request = STANDARD.decode(request).ok();
    answer(&app, request.as_deref(), &headers).await
}

async fn answer(app: &App, request: Option<&[u8]>, headers: &HeaderMap) -> Response {
    let answered = match request.filter(|request| request.len() <= MAX_REQUEST) {
        Some(request) => status(app, request).await,
        None => Err(OcspRefusal::MalformedRequest),
    };
    app.metrics.ocsp(&answered);
    match answered {
        Ok(response) => {
            let cached = Cached {
                content_type: RESPONSE,
                tag: format!(
                    "{}-{}-{}",
                    response.certificate,
                    response.hash,
                    response.this_update.unix_timestamp()
                ),
                body: response.der,
                since: response.this_update,
                until: response.next_update,
            };
            cached.answer(app.now(), headers)
        }
        Err(refusal) => {
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static(RESPONSE)),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (headers, refusal.to_der()).into_response()
        }
    }
}

/// A signed answer that is true.
async fn status(app: &App, request: &[u8]) -> Result<OcspResponse, OcspRefusal> {
    let id = CertId::from_request(request).map_err(|_| OcspRefusal::MalformedRequest)?;
    app.guard.admit().map_err(|_| OcspRefusal::TryLater)?;
    let found = find(app, &id).await.map_err(trouble)?;
    let certificate = found.ok_or(OcspRefusal::Unauthorized)?;
    let signed = response(app, &certificate, id.hash)
        .await
        .map_err(trouble)?;
    signed.ok_or(OcspRefusal::TryLater)
}

fn trouble(error: ApiError) -> OcspRefusal {
    match error {
        ApiError::Storage(error) if error.is_passing() => {
            tracing::warn!(%error, "an OCSP request is not answered");
            OcspRefusal::TryLater
        }
        error => {
            tracing::error!(%error, "an OCSP request is not answered");
            OcspRefusal::InternalError
        }
    }
}

/// The certificate that is asked about, if it is one of ours and was issued.
async fn find(app: &App, id: &CertId) -> Result<Option<Certificate>, ApiError> {
    let Some(serial) = Serial::from_octets(&id.serial) else {
        return Ok(None);
    };
    let authorities = app.authorities.all().await?;
    let named = |authority: &Authority| {
        authority
            .issuers()
            .any(|issuer| id.names_issuer(&issuer.certificate))
    };
    if !authorities.iter().any(named) {
        return Ok(None);
    }
    let found = app.store.certificates.find_by_serial(serial).await?;
    Ok(found.filter(|certificate| {
        // The very issuer that is named: serial numbers are its own.
        let issuer = authorities
            .iter()
            .find_map(|authority| authority.issuer(certificate.issuer));
        certificate.der().is_some()
            && issuer.is_some_and(|issuer| id.names_issuer(&issuer.certificate))
    }))
}

/// The answer that is kept, if it serves; else one that is signed now. While no worker signs, the one that is kept does,
/// as long as it is true.
async fn response(
    app: &App,
    certificate: &Certificate,
    hash: CertIdHash,
) -> Result<Option<OcspResponse>, ApiError> {
    let revoked = matches!(certificate.state, CertificateState::Revoked { .. });
    let kept = app.store.ocsp_responses.find(certificate.id, hash).await?;
    if let Some(kept) = kept.filter(|kept| kept.serves(revoked, app.now())) {
        return Ok(Some(kept));
    }
    let job = Job::SignOcspResponse {
        certificate: certificate.id,
        hash,
        authority: certificate.authority.clone(),
        revoked,
        minute: app.now().unix_timestamp() / 60,
    };
    let awaited = app.listen_for(&job);
    app.store.jobs.ensure(&job).await?;
    app.await_job(&awaited, Enqueued::Before).await?;
    let signed = app.store.ocsp_responses.find(certificate.id, hash).await?;
    Ok(signed.filter(|signed| signed.revoked == revoked && app.now() < signed.next_update))
}
