//! What relying parties ask for: CRLs (RFC 5280), issuers' certificates and OCSP answers (RFC 6960). Plain HTTP, to be
//! cached; all of it is signed, or leads to what is.

mod cached;
mod crl;
mod issuer;
mod ocsp;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// All of them.
pub fn router() -> Router<App> {
    Router::new()
        .route("/crl/{issuer}/{file}", get(crl::get))
        .route("/issuer/{file}", get(issuer::get))
        .route("/ocsp", post(ocsp::post))
        .route("/ocsp/{*request}", get(ocsp::get))
}
