//! Tokens. Their secrets are in the answer to the request that makes one, and nowhere else.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use certfleet_domain::{ApiToken, Grant, Permission, ProjectName, Role, Scope, Timestamp, TokenId};
use certfleet_management::views::TokenView;
use certfleet_management::{NewToken, add_token, revoke_token};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BASE;
use super::bearer::Bearer;
use super::body::{Asked, Body, Named, Object, whole};
use super::keyed::{IfMatch, tagged};
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use super::words::Words;
use crate::app::App;

/// A role.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Look at the fleet.
    Viewer,
    /// Look at the fleet, and at who has done what in it.
    Auditor,
    /// Look at the fleet, and work with its certificates, targets and watches.
    Operator,
    /// All of that, and what holds secrets, and who may do what.
    Admin,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Viewer => Self::Viewer,
            RoleName::Auditor => Self::Auditor,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// A role, where it is to count.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// Which role.
    role: RoleName,
    /// In this project alone; without it, everywhere.
    #[schema(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
}

/// A token that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenWish {
    /// Whom it is for.
    label: Words,
    /// What it lets its bearer do. Nobody gives away what they may not do themselves.
    #[schema(value_type = Vec<NewGrant>, min_items = 1, max_items = 50)]
    grants: Vec<Object<NewGrant>>,
    /// For so many days it counts; without it, until it is revoked.
    #[serde(default, deserialize_with = "whole::<_, 1, 3650>")]
    #[schema(minimum = 1, maximum = 3650)]
    days: Option<u16>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub struct MadeTokenView {
    #[serde(flatten)]
    view: TokenView,
    /// What its bearer shows. It is not told again.
    token: String,
}

fn scope(project: Option<ProjectName>) -> Scope {
    project.map_or(Scope::Everywhere, Scope::Project)
}

/// A token is its to look at and to revoke who could have made it.
fn is_within_reach(bearer: &Bearer, grants: &[Grant]) -> bool {
    grants.iter().all(|grant| {
        let project = match &grant.scope {
            Scope::Everywhere => None,
            Scope::Project(project) => Some(project),
        };
        bearer.may(Permission::Administer, project)
    })
}

/// List the tokens that the bearer could have made.
#[utoipa::path(get, operation_id = "list_tokens", path = "/tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, body = Page<TokenView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<TokenView>>, RestError> {
    let uses = app.store.access.last_uses().await?;
    let all = app.store.access.tokens().await?;
    let seen = all
        .iter()
        .filter(|token| is_within_reach(&bearer, &token.grants));
    let view = |token: &&ApiToken| TokenView::of(token, uses.get(&token.id).copied(), app.now());
    let page = page::of(seen, &query, |token| token.id.to_string(), view)?;
    Ok(Json(page))
}

/// Make a token. Its answer holds a secret, and is not kept: there is no `Idempotency-Key` here.
#[utoipa::path(post, operation_id = "create_token", path = "/tokens", tag = "tokens", request_body = TokenWish,
    responses((status = 201, body = MadeTokenView, headers(("Location" = String))), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    Body(wish): Body<TokenWish>,
) -> Result<Response, RestError> {
    let grants: Vec<Grant> = wish
        .grants
        .into_iter()
        .map(|Object(grant)| Grant {
            role: grant.role.into(),
            scope: scope(grant.project),
        })
        .collect();
    if !is_within_reach(&bearer, &grants) {
        return Err(RestError::Forbidden(Permission::Administer));
    }
    let lasts = wish.days.map(|days| time::Duration::days(i64::from(days)));
    let expires_at: Option<Timestamp> = lasts.map(|lasts| app.now() + lasts);
    let wish = NewToken {
        label: wish.label.into(),
        grants,
        expires_at,
    };
    let plan = add_token(&app.store, wish).await?;
    let made = plan.carry_out(&app.store, &bearer.sender).await?;
    let view = TokenView::of(&made.token, None, app.now());
    let location = app.url.under(&format!("{BASE}/tokens/{}", view.id));
    let location = HeaderValue::from_str(&location);
    let location = location.map_err(|error| RestError::Internal(error.to_string()))?;
    let token = made.text.to_string();
    let body = Json(MadeTokenView { view, token });
    Ok((StatusCode::CREATED, [(LOCATION, location)], body).into_response())
}

async fn find(app: &App, bearer: &Bearer, id: TokenId) -> Result<ApiToken, RestError> {
    let found = app.store.access.token(id).await?;
    let own = found.filter(|token| is_within_reach(bearer, &token.grants));
    own.ok_or_else(|| RestError::NotFound("there is no token of this id".to_owned()))
}

/// Show a token.
#[utoipa::path(get, operation_id = "show_token", path = "/tokens/{id}", tag = "tokens", params(("id" = schema::Id, Path)),
    responses((status = 200, body = TokenView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<TokenId>,
) -> Result<Response, RestError> {
    let token = find(&app, &bearer, id).await?;
    let used = app.store.access.last_uses().await?.get(&id).copied();
    Ok(tagged(
        token.version,
        TokenView::of(&token, used, app.now()),
    ))
}

/// Revoke a token, at once and for good.
#[utoipa::path(delete, operation_id = "revoke_token", path = "/tokens/{id}", tag = "tokens",
    params(("id" = schema::Id, Path)),
    responses((status = 204, description = "It counts no more."), Problems))]
pub async fn revoke(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<TokenId>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let token = find(&app, &bearer, id).await?;
        meant.require(token.version)?;
        let plan = revoke_token(&app.store, token)?;
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}
