//! Places that certificates are delivered to, and which go there.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use certfleet_domain::{
    AgentName, CommandName, Endpoint, FileContent, Identifier, ManagedId, PathPattern, Permission,
    ProjectName, Target, TargetFile, TargetName,
};
use certfleet_management::views::{PlacementView, TargetView};
use certfleet_management::{
    NewTarget, add_target, deliver, deliver_again, parse_mode, parse_owner, remove_target,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Body, Named, Object};
use super::certificates;
use super::keyed::{IfMatch, Wish, tagged};
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use crate::app::App;

/// So many files of one target.
const MOST_FILES: usize = 10;

/// What is in a file.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// The chain, PEM: the certificate first.
    Chain,
    /// The private key, PKCS#8 in PEM.
    Key,
    /// The chain, and the key behind it.
    ChainAndKey,
}

impl From<Content> for FileContent {
    fn from(content: Content) -> Self {
        match content {
            Content::Chain => Self::Chain,
            Content::Key => Self::Key,
            Content::ChainAndKey => Self::ChainAndKey,
        }
    }
}

/// A file of a target.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileWish {
    /// Where it lies. `{name}` has to be in the paths of all files of a target, or in none.
    #[schema(value_type = schema::FilePath)]
    path: PathPattern,
    /// What is in it.
    content: Content,
    /// Its permission bits, in octal; without it, 600 with a key in it, and 644 without one.
    #[schema(value_type = Option<schema::FileMode>)]
    mode: Option<String>,
    /// Whose it is; without it, the agent's.
    #[schema(value_type = Option<schema::FileOwner>)]
    owner: Option<String>,
}

impl FileWish {
    fn read(self) -> Result<TargetFile, String> {
        let content = FileContent::from(self.content);
        let mode = match self.mode.as_deref() {
            Some(mode) => parse_mode(mode)?,
            None => content.usual_mode(),
        };
        Ok(TargetFile {
            path: self.path,
            content,
            mode,
            owner: self.owner.as_deref().map(parse_owner).transpose()?,
        })
    }
}

/// A place that is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetWish {
    /// Its name.
    #[schema(value_type = schema::ShortName)]
    name: TargetName,
    /// Whose it is, and its agent; without it, the project default's.
    #[schema(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
    /// The agent on whose host it is.
    #[schema(value_type = schema::ShortName)]
    agent: AgentName,
    /// What is written there.
    #[schema(value_type = Vec<FileWish>, min_items = 1, max_items = 10)]
    files: Vec<Object<FileWish>>,
    /// What is run once when files have changed: a command that the agent's own settings have under this name.
    #[schema(value_type = Option<schema::ShortName>)]
    run: Option<CommandName>,
    /// Where the host serves the certificate.
    #[schema(value_type = Option<schema::HostPort>)]
    probe: Option<Endpoint>,
}

impl TargetWish {
    fn read(self) -> Result<NewTarget, RestError> {
        let wrong = |why: String| RestError::Invalid(format!("files: {why}; nothing was done"));
        if self.files.len() > MOST_FILES {
            return Err(wrong(format!("{MOST_FILES} at the most")));
        }
        let files: Result<Vec<TargetFile>, String> = self
            .files
            .into_iter()
            .map(|Object(file)| file.read())
            .collect();
        Ok(NewTarget {
            name: self.name,
            project: self.project.unwrap_or_default(),
            agent: self.agent,
            files: files.map_err(wrong)?,
            reload: self.run,
            probe: self.probe,
        })
    }
}

/// List the places that certificates are delivered to.
#[utoipa::path(get, operation_id = "list_targets", path = "/targets", tag = "targets", params(PageQuery),
    responses((status = 200, body = Page<TargetView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<TargetView>>, RestError> {
    let sight = bearer.sight();
    let all = app.store.deliveries.targets().await?;
    let seen = all.iter().filter(|one| sight.includes(&one.project));
    let key = |one: &&Target| one.name.to_string();
    let page = page::of(seen, &query, key, |one| TargetView::from(*one))?;
    Ok(Json(page))
}

/// Add a place. What the host's agent does not allow, it does not do, whatever is said here.
#[utoipa::path(post, operation_id = "create_target", path = "/targets", tag = "targets", request_body = TargetWish,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses((status = 201, body = TargetView, headers(("Location" = String))), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    wish: Wish<TargetWish>,
) -> Result<Response, RestError> {
    let (body, once) = wish.split();
    let project = body.project.clone().unwrap_or_default();
    bearer.require(Permission::Operate, Some(&project))?;
    if let Some(before) = once.before(&app, &bearer).await? {
        return Ok(before);
    }
    let plan = add_target(&app.store, body.read()?).await?;
    let of = |made: &Target| (format!("/targets/{}", made.name), TargetView::from(made));
    once.make(&app, &bearer, plan, of).await
}

async fn find(app: &App, bearer: &Bearer, name: &TargetName) -> Result<Target, RestError> {
    let found = app.store.deliveries.target(name).await?;
    bearer.sees(found, |one| &one.project, "target")
}

/// Show a place.
#[utoipa::path(get, operation_id = "show_target", path = "/targets/{name}", tag = "targets",
    params(("name" = schema::ShortName, Path)),
    responses((status = 200, body = TargetView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<TargetName>,
) -> Result<Response, RestError> {
    let target = find(&app, &bearer, &name).await?;
    Ok(tagged(target.version, TargetView::from(&target)))
}

/// Remove a place that nothing is delivered to any more. Files that are there stay.
#[utoipa::path(delete, operation_id = "remove_target", path = "/targets/{name}", tag = "targets",
    params(("name" = schema::ShortName, Path)),
    responses((status = 204, description = "It is no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<TargetName>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let target = find(&app, &bearer, &name).await?;
        bearer.require(Permission::Operate, Some(&target.project))?;
        meant.require(target.version)?;
        let plan = remove_target(&app.store, target).await?;
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}

/// Where a certificate is to go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryWish {
    /// To these as well, from now on. Without any: once more to wherever it goes.
    #[serde(default)]
    #[schema(value_type = BTreeSet<schema::ShortName>, max_items = 100)]
    targets: Vec<TargetName>,
    /// Which of its names it is called by there; without it, its first one.
    #[schema(value_type = Option<schema::CertifiedName>)]
    called: Option<Identifier>,
}

/// List where a certificate goes, and whether it is there.
#[utoipa::path(get, operation_id = "list_placements", path = "/certificates/{id}/placements", tag = "certificates",
    params(("id" = schema::Id, Path), PageQuery),
    responses((status = 200, body = Page<PlacementView>), Problems))]
pub async fn placements(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<PlacementView>>, RestError> {
    let managed = certificates::find(&app, &bearer, id).await?;
    let all = app.store.deliveries.placements_of(managed.id).await?;
    let page = page::of(
        &all,
        &query,
        |one| one.id.to_string(),
        |one| PlacementView::from(*one),
    )?;
    Ok(Json(page))
}

/// Have a certificate delivered to more places, or once more to the same.
#[utoipa::path(post, operation_id = "create_placements", path = "/certificates/{id}/placements", tag = "certificates", request_body = DeliveryWish,
    params(("id" = schema::Id, Path)),
    responses((status = 200, body = Page<PlacementView>), Problems))]
pub async fn place(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
    Body(wish): Body<DeliveryWish>,
) -> Result<Json<Page<PlacementView>>, RestError> {
    loop {
        let managed = certificates::find(&app, &bearer, id).await?;
        bearer.require(Permission::Operate, Some(&managed.project))?;
        let plan = if wish.targets.is_empty() {
            deliver_again(&app.store, managed).await?
        } else {
            deliver(&app.store, managed, &wish.targets, wish.called.as_ref()).await?
        };
        // Whatever a worker has made of it meanwhile.
        let done = IfMatch::Any.attempt(&app, &bearer, plan).await?;
        if done.is_some() {
            break;
        }
    }
    placements(State(app), bearer, Named(id), Asked(PageQuery::default())).await
}
