//! Places where certificates should be served, and what is served there instead.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use certfleet_domain::{Endpoint, Identifier, ManagedId, Permission, Watch, WatchId, WatchPolicy};
use certfleet_management::views::WatchView;
use certfleet_management::{NewWatch, add_watch, remove_watch};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Named};
use super::certificates;
use super::keyed::{IfMatch, Wish};
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use crate::app::App;

/// So many findings are looked at for one answer.
const MOST_FINDINGS: i64 = 10_000;

/// A place that is to be looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchWish {
    /// Where it should be served, as workers reach it.
    #[schema(value_type = schema::HostPort)]
    endpoint: Endpoint,
    /// Which of its names to ask for there; without it, its first one.
    #[schema(value_type = Option<schema::CertifiedName>)]
    name: Option<Identifier>,
    /// Deliver it anew when something else is served; every hour at the most.
    #[serde(default)]
    repair: bool,
}

/// List where a certificate is looked at, and what was found there.
#[utoipa::path(get, operation_id = "list_watches", path = "/certificates/{id}/watches", tag = "watches",
    params(("id" = schema::Id, Path), PageQuery),
    responses((status = 200, body = Page<WatchView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<WatchView>>, RestError> {
    let managed = certificates::find(&app, &bearer, id).await?;
    let all = app.store.watches.of(managed.id).await?;
    let page = page::of(
        &all,
        &query,
        |one| one.id.to_string(),
        |one| WatchView::from(*one),
    )?;
    Ok(Json(page))
}

/// Have a place looked at, every five minutes.
#[utoipa::path(post, operation_id = "create_watch", path = "/certificates/{id}/watches", tag = "watches", request_body = WatchWish,
    params(("id" = schema::Id, Path), ("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses((status = 201, body = WatchView, headers(("Location" = String))), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
    wish: Wish<WatchWish>,
) -> Result<Response, RestError> {
    let (body, once) = wish.split();
    loop {
        let managed = certificates::find(&app, &bearer, id).await?;
        bearer.require(Permission::Operate, Some(&managed.project))?;
        if let Some(before) = once.before(&app, &bearer).await? {
            return Ok(before);
        }
        let wish = NewWatch {
            endpoint: body.endpoint.clone(),
            name: body.name.clone(),
            policy: if body.repair {
                WatchPolicy::Repair
            } else {
                WatchPolicy::Alert
            },
        };
        let plan = add_watch(&app.store, &managed, wish)?;
        let of = |made: &Watch| (format!("/watches/{}", made.id), WatchView::from(made));
        match once.make(&app, &bearer, plan, of).await {
            // A worker has the certificate in hand.
            Err(RestError::Meanwhile) => {}
            done => return done,
        }
    }
}

/// Look at a place no more.
#[utoipa::path(delete, operation_id = "remove_watch", path = "/watches/{id}", tag = "watches",
    params(("id" = schema::Id, Path)),
    responses((status = 204, description = "It is looked at no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<WatchId>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let found = app.store.watches.find(id).await?;
        let none = || RestError::NotFound("there is no watch of this id".to_owned());
        let watch = found.ok_or_else(none)?;
        // Whose it is its certificate says.
        let managed = certificates::find(&app, &bearer, watch.managed).await;
        let managed = managed.map_err(|error| match error {
            RestError::NotFound(_) => none(),
            error => error,
        })?;
        bearer.require(Permission::Operate, Some(&managed.project))?;
        meant.require(watch.version)?;
        let plan = remove_watch(&app.store, watch);
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}

/// List where something else is served than should be, or nothing: what has been so for longest first.
#[utoipa::path(get, operation_id = "list_findings", path = "/findings", tag = "watches", params(PageQuery),
    responses((status = 200, body = Page<WatchView>), Problems))]
pub async fn findings(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<WatchView>>, RestError> {
    let found = app.store.watches.findings(MOST_FINDINGS).await?;
    let ids: Vec<ManagedId> = found.iter().map(|watch| watch.managed).collect();
    let seen = app.store.inventory.seen(&ids, &bearer.sight()).await?;
    let seen = found.iter().filter(|watch| seen.contains(&watch.managed));
    let key = |watch: &&Watch| {
        let since = watch
            .finding
            .as_ref()
            .map_or(0, |finding| finding.first_seen.unix_timestamp());
        format!("{since:020} {}", watch.id)
    };
    let page = page::of(seen, &query, key, |watch| WatchView::from(*watch))?;
    Ok(Json(page))
}
