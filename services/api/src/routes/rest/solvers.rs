//! Zones that the fleet may change.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use certfleet_domain::{DnsName, Permission, ProjectName, Solver, SolverName, TsigAlgorithm};
use certfleet_management::views::SolverView;
use certfleet_management::{NewSolver, add_solver, key_from_base64, remove_solver};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Named};
use super::keyed::{IfMatch, Wish, tagged};
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use crate::app::App;

/// So many servers that have to show a proof.
const MOST_WATCHED: usize = 20;

/// How an update is signed (RFC 8945, 6).
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    Sha256,
    /// HMAC with SHA-384.
    #[serde(rename = "hmac-sha384")]
    Sha384,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    Sha512,
}

impl From<Algorithm> for TsigAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::HmacSha256,
            Algorithm::Sha384 => Self::HmacSha384,
            Algorithm::Sha512 => Self::HmacSha512,
        }
    }
}

/// A zone that is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SolverWish {
    /// Its name in the fleet.
    #[schema(value_type = schema::ShortName)]
    name: SolverName,
    /// Whose it is; without it, the project default's.
    #[schema(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
    /// The zone.
    #[schema(value_type = schema::DomainName)]
    zone: DnsName,
    /// Its primary server, which takes dynamic updates (RFC 2136).
    #[schema(value_type = schema::AddressPort)]
    server: SocketAddr,
    /// The servers that have to show a proof before an authority is told to look; the primary alone, if there is none.
    #[serde(default)]
    #[schema(value_type = Vec<schema::AddressPort>, max_items = 20)]
    watched: Vec<SocketAddr>,
    /// By what name the server knows the key.
    #[schema(value_type = schema::DomainName)]
    key_name: DnsName,
    /// The key's algorithm; without it, hmac-sha256.
    algorithm: Option<Algorithm>,
    /// The key, in base64, of 16 octets or more.
    #[schema(value_type = schema::KeyBase64)]
    key: String,
}

impl SolverWish {
    fn read(self) -> Result<NewSolver, RestError> {
        let wrong = |why: &str| RestError::Invalid(format!("{why}; nothing was done"));
        if self.watched.len() > MOST_WATCHED {
            return Err(wrong("watched: 20 at the most"));
        }
        // What is wrong with it would tell of it.
        let key = key_from_base64(&self.key);
        Ok(NewSolver {
            name: self.name,
            project: self.project.unwrap_or_default(),
            zone: self.zone,
            server: self.server,
            watched: self.watched,
            key_name: self.key_name,
            algorithm: self.algorithm.map(Into::into).unwrap_or_default(),
            key: key.ok_or_else(|| wrong("key: 16 octets or more in base64 are due"))?,
        })
    }
}

/// List the zones that the fleet may change.
#[utoipa::path(get, operation_id = "list_solvers", path = "/solvers", tag = "solvers", params(PageQuery),
    responses((status = 200, body = Page<SolverView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<SolverView>>, RestError> {
    let sight = bearer.sight();
    let all = app.store.solvers.all().await?;
    let seen = all.iter().filter(|one| sight.includes(&one.project));
    let key = |one: &&Solver| one.name.to_string();
    let page = page::of(seen, &query, key, |one| SolverView::from(*one))?;
    Ok(Json(page))
}

/// Add a zone. It is not tried here, other than by `certfleet solver add`: the API reaches no server but the database.
#[utoipa::path(post, operation_id = "create_solver", path = "/solvers", tag = "solvers", request_body = SolverWish,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses((status = 201, body = SolverView, headers(("Location" = String))), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    wish: Wish<SolverWish>,
) -> Result<Response, RestError> {
    let (body, once) = wish.split();
    let project = body.project.clone().unwrap_or_default();
    bearer.require(Permission::Administer, Some(&project))?;
    if let Some(before) = once.before(&app, &bearer).await? {
        return Ok(before);
    }
    let plan = add_solver(&app.store, &app.vault, body.read()?).await?;
    let of = |made: &Solver| (format!("/solvers/{}", made.name), SolverView::from(made));
    once.make(&app, &bearer, plan, of).await
}

async fn find(app: &App, bearer: &Bearer, name: &SolverName) -> Result<Solver, RestError> {
    let found = app.store.solvers.find(name).await?;
    bearer.sees(found, |one| &one.project, "solver")
}

/// Show a zone.
#[utoipa::path(get, operation_id = "show_solver", path = "/solvers/{name}", tag = "solvers",
    params(("name" = schema::ShortName, Path)),
    responses((status = 200, body = SolverView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<SolverName>,
) -> Result<Response, RestError> {
    let solver = find(&app, &bearer, &name).await?;
    Ok(tagged(solver.version, SolverView::from(&solver)))
}

/// Remove a zone, and its key.
#[utoipa::path(delete, operation_id = "remove_solver", path = "/solvers/{name}", tag = "solvers",
    params(("name" = schema::ShortName, Path)),
    responses((status = 204, description = "It is no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<SolverName>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let solver = find(&app, &bearer, &name).await?;
        bearer.require(Permission::Administer, Some(&solver.project))?;
        meant.require(solver.version)?;
        let plan = remove_solver(&app.store, solver).await?;
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}
