//! ARI (RFC 9773): when a certificate is to be renewed. Anybody may ask; there is nothing in it that is not in the certificate
//! and its status.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use certfleet_acme::CertId;
use certfleet_acme::messages::RenewalInfo;
use certfleet_domain::{ProblemKind, RenewalWindow};
use http::header::RETRY_AFTER;
use serde::Deserialize;

use super::replaces;
use crate::app::App;
use crate::error::ApiError;
use crate::signed::AtAuthority;

#[derive(Deserialize)]
pub struct Named {
    cert_id: String,
}

pub async fn get(
    State(app): State<App>,
    at: AtAuthority,
    Path(Named { cert_id }): Path<Named>,
) -> Result<impl IntoResponse, ApiError> {
    app.guard.admit().map_err(ApiError::Pressed)?;
    let cert_id: CertId = cert_id.parse().map_err(|error| {
        ApiError::new(ProblemKind::Malformed, format!("the URL ends with {error}"))
    })?;
    let certificate = replaces::named(&app, &at, &cert_id)
        .await?
        .ok_or(ApiError::NotFound(
            "this authority has issued no certificate of this CertID",
        ))?;
    let replacement = at.authority.replacement.as_ref();
    let window = RenewalWindow::suggested(&certificate, replacement);
    // Only what is asked of the administrator's own accord has a reason to be read about.
    let explanation = replacement
        .filter(|replacement| replacement.window() == window)
        .and_then(|replacement| replacement.explanation_url.clone());
    let retry_after = [(RETRY_AFTER, app.policy.renewal_info_retry_after.to_string())];
    Ok((retry_after, Json(RenewalInfo::new(window, explanation))))
}
