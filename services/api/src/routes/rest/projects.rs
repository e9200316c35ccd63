//! Projects.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use certfleet_domain::{Permission, Project, ProjectName};
use certfleet_management::views::ProjectView;
use certfleet_management::{add_project, remove_project};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Named};
use super::keyed::{IfMatch, Wish, tagged};
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use super::words::Words;
use crate::app::App;

/// A project that is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its name.
    #[schema(value_type = schema::ShortName)]
    name: ProjectName,
    /// What it is, for people.
    title: Option<Words>,
}

/// List the projects that the bearer gets to see.
#[utoipa::path(get, operation_id = "list_projects", path = "/projects", tag = "projects", params(PageQuery),
    responses((status = 200, body = Page<ProjectView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<ProjectView>>, RestError> {
    let sight = bearer.sight();
    let all = app.store.access.projects().await?;
    let seen = all.iter().filter(|project| sight.includes(&project.name));
    let key = |project: &&Project| project.name.to_string();
    let page = page::of(seen, &query, key, |project| ProjectView::from(*project))?;
    Ok(Json(page))
}

/// Add a project.
#[utoipa::path(post, operation_id = "create_project", path = "/projects", tag = "projects", request_body = NewProject,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses((status = 201, body = ProjectView, headers(("Location" = String))), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    wish: Wish<NewProject>,
) -> Result<Response, RestError> {
    bearer.require(Permission::Administer, None)?;
    let (body, once) = wish.split();
    if let Some(before) = once.before(&app, &bearer).await? {
        return Ok(before);
    }
    let plan = add_project(&app.store, body.name, body.title.map(Into::into))?;
    let of = |made: &Project| (format!("/projects/{}", made.name), ProjectView::from(made));
    once.make(&app, &bearer, plan, of).await
}

async fn find(app: &App, bearer: &Bearer, name: &ProjectName) -> Result<Project, RestError> {
    let found = app.store.access.project(name).await?;
    bearer.sees(found, |project| &project.name, "project")
}

/// Show a project.
#[utoipa::path(get, operation_id = "show_project", path = "/projects/{name}", tag = "projects",
    params(("name" = schema::ShortName, Path)),
    responses((status = 200, body = ProjectView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<ProjectName>,
) -> Result<Response, RestError> {
    let project = find(&app, &bearer, &name).await?;
    Ok(tagged(project.version, ProjectView::from(&project)))
}

/// Remove a project that has nothing any more.
#[utoipa::path(delete, operation_id = "remove_project", path = "/projects/{name}", tag = "projects",
    params(("name" = schema::ShortName, Path)),
    responses((status = 204, description = "It is no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<ProjectName>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let project = find(&app, &bearer, &name).await?;
        bearer.require(Permission::Administer, None)?;
        meant.require(project.version)?;
        let plan = remove_project(&app.store, project).await?;
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}
