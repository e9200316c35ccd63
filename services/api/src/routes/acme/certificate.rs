//! A certificate's download (RFC 8555 §7.4.2).

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use certfleet_acme::media_type;
use certfleet_domain::{CertificateOrigin, Issuer};
use certfleet_pki::{certificate_pem, chain_pem};
use http::header::CONTENT_TYPE;

use super::link;
use crate::app::App;
use crate::error::ApiError;
use crate::signed::ByAccount;

const NONE: ApiError = ApiError::NotFound("this account has no certificate of this URL");

/// The chain without the root, which is what servers send.
pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    download(&app, &request, &id, Chain::Short).await
}

/// Number 1: the chain with the root, for those who want it whole.
pub async fn post_alternate(
    State(app): State<App>,
    Path((_, id, number)): Path<(String, String, String)>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    if number != "1" {
        return Err(NONE);
    }
    download(&app, &request, &id, Chain::WithRoot).await
}

enum Chain {
    Short,
    WithRoot,
}

async fn download(
    app: &App,
    request: &ByAccount,
    id: &str,
    chain: Chain,
) -> Result<Response, ApiError> {
    request.jws.expect_post_as_get()?;
    let found = app
        .store
        .certificates
        .find(id.parse().map_err(|_| NONE)?)
        .await?
        .ok_or(NONE)?;
    let own = matches!(found.origin, CertificateOrigin::Order { account, .. } if account == request.account.id);
    let der = found.der().filter(|_| own).ok_or(NONE)?;
    let unknown = || {
        ApiError::Internal(format!(
            "certificate {id}: its issuer {} is not known",
            found.issuer
        ))
    };
    let issuer = request
        .at
        .authority
        .issuer(found.issuer)
        .ok_or_else(unknown)?;
    let urls = &request.at.urls;
    let (pem, alternate) = match chain {
        Chain::Short => (chain_pem(der, issuer), urls.alternate(found.id, 1)),
        Chain::WithRoot => (with_root(der, issuer), urls.certificate(found.id)),
    };
    let mut answer = ([(CONTENT_TYPE, media_type::PEM_CHAIN)], pem).into_response();
    link(&mut answer, &alternate, "alternate");
    Ok(answer)
}

fn with_root(der: &[u8], issuer: &Issuer) -> String {
    let mut pem = chain_pem(der, issuer);
    if issuer.certificate != issuer.root {
        pem.push_str(&certificate_pem(&issuer.root));
    }
    pem
}
