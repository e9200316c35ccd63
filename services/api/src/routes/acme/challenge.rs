//! A challenge (RFC 8555 §7.5.1): shown, or taken up.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::ChallengeResponse;
use certfleet_domain::{Authorization, AuthorizationStatus, ChallengeId, ChallengeState};
use certfleet_jobs::Job;
use serde::Deserialize;

use super::authorization::{await_validation, find_own};
use super::{link, retry_after};
use crate::app::App;
use crate::error::ApiError;
use crate::signed::ByAccount;

/// The client's word that it is ready: an object, whose members do not matter.
#[derive(Deserialize)]
struct Ready {}

const NONE: ApiError = ApiError::NotFound("this account has no challenge of this URL");

pub async fn post(
    State(app): State<App>,
    Path((_, authorization, id)): Path<(String, String, String)>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    let id: ChallengeId = id.parse().map_err(|_| NONE)?;
    let mut authorization = find_own(&app, &request, &authorization).await?;
    if !request.jws.is_post_as_get() {
        let Ready {} = request.jws.payload()?;
        authorization = begin(&app, &request, authorization, id).await?;
        authorization = await_validation(&app, &request, authorization).await?;
    }
    let challenge = authorization.challenge(id).ok_or(NONE)?;
    let urls = &request.at.urls;
    let body = ChallengeResponse::new(challenge, urls.challenge(authorization.id, id));
    let mut answer = Json(body).into_response();
    link(&mut answer, &urls.authorization(authorization.id), "up");
    if challenge.state == ChallengeState::Processing {
        retry_after(&app, &mut answer);
    }
    Ok(answer)
}

/// Puts the validation under way, unless it is so or decided already.
async fn begin(
    app: &App,
    request: &ByAccount,
    authorization: Authorization,
    id: ChallengeId,
) -> Result<Authorization, ApiError> {
    let now = app.now();
    let challenge = authorization.challenge(id).ok_or(NONE)?;
    let open = authorization.status(now) == AuthorizationStatus::Pending;
    if !open || challenge.state != ChallengeState::Pending {
        return Ok(authorization);
    }
    let job = Job::ValidateChallenge {
        authorization: authorization.id,
        challenge: id,
    };
    let begun = authorization.begin(id, now)?;
    let unit = app
        .store
        .authorizations
        .update(&begun)?
        .and(app.store.jobs.enqueue(&job)?);
    match app.store.commit(unit).await {
        Ok(()) => Ok(begun),
        Err(error) if error.is_conflict() => find_own(app, request, &begun.id.to_string()).await,
        Err(error) => Err(error.into()),
    }
}
