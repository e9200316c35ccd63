//! Hosts' agents.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use certfleet_domain::{Agent, AgentName, Permission, ProjectName, Timestamp};
use certfleet_management::views::AgentView;
use certfleet_management::{invite as invite_agent, remove_agent};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Body, Named, whole};
use super::keyed::{IfMatch, tagged};
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use crate::app::App;

const HOUR: u64 = 3600;

/// An agent that is to be invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationWish {
    /// Its name: that of its host, say.
    #[schema(value_type = schema::ShortName)]
    name: AgentName,
    /// Whose host it is; without it, the project default's.
    #[schema(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
    /// For so many hours the invitation is good; without it, for one.
    #[serde(default, deserialize_with = "whole::<_, 1, 168>")]
    #[schema(minimum = 1, maximum = 168)]
    hours: Option<u16>,
    /// Invite one that there is already: what it showed before counts no more, at once.
    #[serde(default)]
    again: bool,
}

/// An invitation.
#[derive(Serialize, ToSchema)]
pub struct InvitationView {
    /// Who is invited.
    name: String,
    /// What it enrols with, once. It is not told again.
    token: String,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = schema::Moment)]
    until: Timestamp,
}

/// List agents: whether each has enrolled, and when it was heard of last.
#[utoipa::path(get, operation_id = "list_agents", path = "/agents", tag = "agents", params(PageQuery),
    responses((status = 200, body = Page<AgentView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<AgentView>>, RestError> {
    let sight = bearer.sight();
    let deliveries = &app.store.deliveries;
    let sightings = deliveries.sightings().await?;
    let all = deliveries.agents().await?;
    let seen = all.iter().filter(|agent| sight.includes(&agent.project));
    let view = |agent: &&Agent| {
        let sighting = sightings.get(&agent.name).cloned();
        AgentView::of(agent, sighting, app.now())
    };
    let page = page::of(seen, &query, |agent| agent.name.to_string(), view)?;
    Ok(Json(page))
}

/// Invite a host's agent. The answer holds a secret, and is not kept: there is no `Idempotency-Key` here.
#[utoipa::path(post, operation_id = "invite_agent", path = "/agents", tag = "agents", request_body = InvitationWish,
    responses((status = 201, body = InvitationView), Problems))]
pub async fn invite(
    State(app): State<App>,
    bearer: Bearer,
    Body(wish): Body<InvitationWish>,
) -> Result<Response, RestError> {
    let project = wish.project.unwrap_or_default();
    bearer.require(Permission::Administer, Some(&project))?;
    let hours = wish.hours.unwrap_or(1);
    let valid_for = Duration::from_secs(u64::from(hours) * HOUR);
    let whom = (wish.name, project);
    let plan = invite_agent(&app.store, whom, valid_for, wish.again).await?;
    let made = plan.carry_out(&app.store, &bearer.sender).await?;
    let view = InvitationView {
        name: made.agent.name.to_string(),
        token: made.token.to_string(),
        until: made.until,
    };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

async fn find(app: &App, bearer: &Bearer, name: &AgentName) -> Result<Agent, RestError> {
    let found = app.store.deliveries.agent(name).await?;
    bearer.sees(found, |agent| &agent.project, "agent")
}

/// Show an agent.
#[utoipa::path(get, operation_id = "show_agent", path = "/agents/{name}", tag = "agents",
    params(("name" = schema::ShortName, Path)),
    responses((status = 200, body = AgentView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<AgentName>,
) -> Result<Response, RestError> {
    let agent = find(&app, &bearer, &name).await?;
    let sighting = app.store.deliveries.sighting(&name).await?;
    Ok(tagged(
        agent.version,
        AgentView::of(&agent, sighting, app.now()),
    ))
}

/// Remove an agent that has no targets any more: its certificate counts no more, at once.
#[utoipa::path(delete, operation_id = "remove_agent", path = "/agents/{name}", tag = "agents",
    params(("name" = schema::ShortName, Path)),
    responses((status = 204, description = "It is no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<AgentName>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let agent = find(&app, &bearer, &name).await?;
        bearer.require(Permission::Administer, Some(&agent.project))?;
        meant.require(agent.version)?;
        let plan = remove_agent(&app.store, agent).await?;
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}
