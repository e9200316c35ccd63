//! The certificates that a managed one has had. Keys are not given out here.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use certfleet_acme::media_type;
use certfleet_domain::{ManagedId, VersionId};
use certfleet_management::views::VersionView;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::bearer::Bearer;
use super::body::{Asked, Named};
use super::certificates;
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use crate::app::App;

/// List the certificates that a managed one has had, the oldest first.
#[utoipa::path(get, operation_id = "list_versions", path = "/certificates/{id}/versions", tag = "certificates",
    params(("id" = schema::Id, Path), PageQuery),
    responses((status = 200, body = Page<VersionView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<VersionView>>, RestError> {
    let managed = certificates::find(&app, &bearer, id).await?;
    let all = app.store.fleet.versions_of(managed.id).await?;
    let page = page::of(
        &all,
        &query,
        |one| one.id.to_string(),
        |one| VersionView::from(*one),
    )?;
    Ok(Json(page))
}

/// Get the chain of one of them, PEM: the certificate first.
#[utoipa::path(get, operation_id = "show_chain", path = "/certificates/{id}/versions/{version}/chain", tag = "certificates",
    params(("id" = schema::Id, Path), ("version" = schema::Id, Path)),
    responses((status = 200, body = String, content_type = "application/pem-certificate-chain"), Problems))]
pub async fn chain(
    State(app): State<App>,
    bearer: Bearer,
    Named((id, version)): Named<(ManagedId, VersionId)>,
) -> Result<Response, RestError> {
    let managed = certificates::find(&app, &bearer, id).await?;
    let found = app.store.fleet.version(version).await?;
    let own = found.filter(|version| version.managed == managed.id);
    let none = || RestError::NotFound("it has had no such version".to_owned());
    let version = own.ok_or_else(none)?;
    let kind = HeaderValue::from_static(media_type::PEM_CHAIN);
    Ok(([(CONTENT_TYPE, kind)], version.chain).into_response())
}
