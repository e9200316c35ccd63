//! Places that are looked at for what they serve.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use certfleet_domain::{Discovery, DiscoveryId, Endpoint, Permission, ProjectName, UpstreamName};
use certfleet_management::views::{CertificateView, DiscoveryView};
use certfleet_management::{add_discoveries, adopt as adopt_discovery, remove_discovery};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Body, Named};
use super::keyed::{IfMatch, tagged};
use super::page::{self, Page, PageQuery, from_cursor, no_page, to_cursor};
use super::problem::{Problems, RestError};
use super::schema;
use crate::app::App;

/// Places that are to be looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoveriesWish {
    /// Whose they are; without it, the project default's.
    #[schema(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
    /// Where, as workers reach them. What is looked at already stays as it is.
    #[schema(value_type = Vec<schema::HostPort>, min_items = 1, max_items = 4096)]
    endpoints: Vec<Endpoint>,
}

/// From whom what is served is to be had.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptionWish {
    /// In order of preference.
    #[schema(value_type = BTreeSet<schema::ShortName>, min_items = 1, max_items = 10)]
    upstreams: Vec<UpstreamName>,
}

/// List what is served where.
#[utoipa::path(get, operation_id = "list_discoveries", path = "/discoveries", tag = "discoveries", params(PageQuery),
    responses((status = 200, body = Page<DiscoveryView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<DiscoveryView>>, RestError> {
    let limit = page::limit(query.limit)?;
    let after = query.cursor.as_deref().map(from_cursor).transpose()?;
    let after: Option<DiscoveryId> = after
        .map(|text| text.parse().map_err(|_| no_page()))
        .transpose()?;
    let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let sight = bearer.sight();
    let mut found = app.store.discoveries.list(&sight, after, most).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    Ok(Json(Page {
        next: last.map(|last| to_cursor(&last.id.to_string())),
        items: found.iter().map(DiscoveryView::from).collect(),
    }))
}

/// Have places looked at, within ten seconds and daily. Asked for again, it changes nothing.
#[utoipa::path(post, operation_id = "create_discoveries", path = "/discoveries", tag = "discoveries", request_body = DiscoveriesWish,
    responses((status = 202, body = Vec<DiscoveryView>), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    Body(wish): Body<DiscoveriesWish>,
) -> Result<(StatusCode, Json<Vec<DiscoveryView>>), RestError> {
    let project = wish.project.unwrap_or_default();
    bearer.require(Permission::Operate, Some(&project))?;
    let plan = add_discoveries(&app.store, project, wish.endpoints, false).await?;
    let added = plan.carry_out(&app.store, &bearer.sender).await?;
    let added = added.iter().map(DiscoveryView::from).collect();
    Ok((StatusCode::ACCEPTED, Json(added)))
}

async fn find(app: &App, bearer: &Bearer, id: DiscoveryId) -> Result<Discovery, RestError> {
    let found = app.store.discoveries.find(id).await?;
    bearer.sees(found, |one| &one.project, "discovery")
}

/// Show what is served somewhere.
#[utoipa::path(get, operation_id = "show_discovery", path = "/discoveries/{id}", tag = "discoveries",
    params(("id" = schema::Id, Path)),
    responses((status = 200, body = DiscoveryView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<DiscoveryId>,
) -> Result<Response, RestError> {
    let discovery = find(&app, &bearer, id).await?;
    Ok(tagged(discovery.version, DiscoveryView::from(&discovery)))
}

/// Have what is served somewhere from these authorities from now on, under the same names, and watch whether it is served.
#[utoipa::path(post, operation_id = "adopt_discovery", path = "/discoveries/{id}/adopt", tag = "discoveries", request_body = AdoptionWish,
    params(("id" = schema::Id, Path)),
    responses((status = 202, body = CertificateView), Problems))]
pub async fn adopt(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<DiscoveryId>,
    Body(wish): Body<AdoptionWish>,
) -> Result<(StatusCode, Json<CertificateView>), RestError> {
    let discovery = find(&app, &bearer, id).await?;
    bearer.require(Permission::Operate, Some(&discovery.project))?;
    let plan = adopt_discovery(&app.store, &discovery, wish.upstreams).await?;
    let managed = plan.carry_out(&app.store, &bearer.sender).await?;
    let view = CertificateView::of(&managed, app.now());
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Look at a place no more.
#[utoipa::path(delete, operation_id = "remove_discovery", path = "/discoveries/{id}", tag = "discoveries",
    params(("id" = schema::Id, Path)),
    responses((status = 204, description = "It is looked at no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<DiscoveryId>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let discovery = find(&app, &bearer, id).await?;
        bearer.require(Permission::Operate, Some(&discovery.project))?;
        meant.require(discovery.version)?;
        let plan = remove_discovery(&app.store, discovery);
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}
