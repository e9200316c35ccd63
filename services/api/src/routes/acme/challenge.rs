//! A challenge (RFC 8555 §7.5.1): shown, or taken up.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::ChallengeResponse;
use certfleet_audit::Act;
use certfleet_domain::{
    AttemptTerms, Authorization, AuthorizationStatus, ChallengeId, ChallengeState,
};
use serde::Deserialize;

use super::authorization::{find_own, validation};
use super::{link, retry_after};
use crate::app::{App, Enqueued};
use crate::error::ApiError;
use crate::signed::ByAccount;
use crate::ticket::Deed;

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
        authorization = validate(&app, &request, authorization, id).await?;
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

/// Puts the validation under way, unless that was done before, and waits a while for its result.
async fn validate(
    app: &App,
    request: &ByAccount,
    authorization: Authorization,
    id: ChallengeId,
) -> Result<Authorization, ApiError> {
    let open = authorization.status(app.now()) == AuthorizationStatus::Pending;
    let state = &authorization.challenge(id).ok_or(NONE)?.state;
    if !open {
        return Ok(authorization);
    }
    let job = validation(&authorization, id, AttemptTerms::default());
    let awaited = app.listen_for(&job);
    let begin = *state == ChallengeState::Pending;
    let enqueued = if begin && begun(app, request, &authorization, id).await? {
        Enqueued::Now
    } else {
        Enqueued::Before
    };
    app.await_job(&awaited, enqueued).await?;
    let found = find_own(app, request, &authorization.id.to_string()).await?;
    match found.challenge(id) {
        // Another challenge of the same authorization was begun at the same moment: this one has to be asked for again.
        Some(challenge) if begin && challenge.state == ChallengeState::Pending => {
            Err(ApiError::Contended)
        }
        _ => Ok(found),
    }
}

/// Puts the validation under way; `false` if another request was faster.
async fn begun(
    app: &App,
    request: &ByAccount,
    authorization: &Authorization,
    id: ChallengeId,
) -> Result<bool, ApiError> {
    let now = app.now();
    let begun = authorization.clone().begin(id, now)?;
    let begun = app.store.authorizations.update(&begun)?;
    let (account, name) = (authorization.account, &authorization.identifier);
    let (admission, terms) = app.limits.begin_attempt(account, name, now).await?;
    let job = validation(authorization, id, terms);
    let unit = begun.and(app.store.jobs.enqueue(&job)?);
    let target = format!("challenge/{}/{id}", authorization.id);
    let deed = Deed::new(Act::RespondToChallenge, target);
    let fate = request.ticket.act(app, unit, deed).await;
    app.limits.settle(admission, &fate).await;
    match fate {
        Ok(()) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
