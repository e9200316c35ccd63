//! The directory (RFC 8555 §7.1.1).

use axum::Json;
use axum::extract::State;
use certfleet_acme::messages::{Directory, DirectoryMeta};
use certfleet_domain::Authority;

use crate::app::App;
use crate::error::ApiError;
use crate::signed::{AtAuthority, ByAccount};
use crate::urls::Urls;

pub async fn get(State(app): State<App>, at: AtAuthority) -> Json<Directory> {
    Json(directory(&app, &at.authority, &at.urls))
}

/// The same by POST-as-GET (RFC 8555 §6.3).
pub async fn post(State(app): State<App>, request: ByAccount) -> Result<Json<Directory>, ApiError> {
    request.jws.expect_post_as_get()?;
    let at = &request.at;
    Ok(Json(directory(&app, &at.authority, &at.urls)))
}

fn directory(app: &App, authority: &Authority, urls: &Urls) -> Directory {
    let profile_names = authority
        .profiles
        .iter()
        .map(|profile| (profile.name.to_string(), profile.description.clone()));
    Directory {
        new_nonce: urls.new_nonce(),
        new_account: urls.new_account(),
        new_order: urls.new_order(),
        new_authz: Some(urls.new_authz()),
        revoke_cert: urls.revoke_cert(),
        key_change: urls.key_change(),
        renewal_info: Some(urls.renewal_info()),
        meta: DirectoryMeta {
            terms_of_service: app.policy.terms_of_service.clone(),
            website: app.policy.website.clone(),
            caa_identities: app.policy.caa_identities.clone(),
            external_account_required: authority.external_account_required,
            profiles: profile_names.collect(),
        },
    }
}
