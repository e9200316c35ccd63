//! An authorization (RFC 8555 §7.5): shown, given up.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::{AuthorizationResponse, AuthorizationUpdate};
use certfleet_audit::Act;
use certfleet_domain::{
    AttemptTerms, Authorization, AuthorizationStatus, Challenge, ChallengeId, ChallengeState,
    ProblemKind, Timestamp,
};
use certfleet_jobs::Job;

use super::retry_after;
use crate::app::{App, Enqueued};
use crate::error::ApiError;
use crate::signed::ByAccount;
use crate::ticket::Deed;
use crate::urls::Urls;

pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    let mut authorization = find_own(&app, &request, &id).await?;
    if request.jws.is_post_as_get() {
        authorization = await_validation(&app, &request, authorization).await?;
    } else {
        let update: AuthorizationUpdate = request.jws.payload()?;
        if !update.is_deactivation() {
            let detail =
                "an authorization can only be given the status \"deactivated\" (RFC 8555 §7.5.2)";
            return Err(ApiError::new(ProblemKind::Malformed, detail));
        }
        authorization = authorization.deactivate(app.now())?;
        let unit = app.store.authorizations.update(&authorization)?;
        let target = format!("authorization/{}", authorization.id);
        let deed = Deed::new(Act::DeactivateAuthorization, target);
        request.ticket.act(&app, unit, deed).await?;
    }
    let now = app.now();
    let waiting = processing(&authorization, now).is_some();
    let mut answer = Json(response(&request.at.urls, &authorization, now)).into_response();
    if waiting {
        retry_after(&app, &mut answer);
    }
    Ok(answer)
}

/// The authorization of this id, if it is the account's own.
pub(super) async fn find_own(
    app: &App,
    request: &ByAccount,
    id: &str,
) -> Result<Authorization, ApiError> {
    let none = || ApiError::NotFound("this account has no authorization of this URL");
    let found = app
        .store
        .authorizations
        .find(id.parse().map_err(|_| none())?)
        .await?
        .ok_or_else(none)?;
    if found.account == request.account.id {
        Ok(found)
    } else {
        Err(none())
    }
}

/// Waits a while for the result of a validation that is under way; gives the authorization as it then is.
async fn await_validation(
    app: &App,
    request: &ByAccount,
    authorization: Authorization,
) -> Result<Authorization, ApiError> {
    let Some(challenge) = processing(&authorization, app.now()) else {
        return Ok(authorization);
    };
    let awaited = app.listen_for(&validation(
        &authorization,
        challenge.id,
        AttemptTerms::default(),
    ));
    app.await_job(&awaited, Enqueued::Before).await?;
    find_own(app, request, &authorization.id.to_string()).await
}

/// The job that validates a challenge.
pub(super) fn validation(
    authorization: &Authorization,
    challenge: ChallengeId,
    terms: AttemptTerms,
) -> Job {
    Job::ValidateChallenge {
        authorization: authorization.id,
        challenge,
        account: Some(authorization.account),
        terms,
    }
}

fn processing(authorization: &Authorization, now: Timestamp) -> Option<&Challenge> {
    let pending = authorization.status(now) == AuthorizationStatus::Pending;
    let under_way = |challenge: &&Challenge| challenge.state == ChallengeState::Processing;
    authorization
        .challenges
        .iter()
        .find(under_way)
        .filter(|_| pending)
}

pub(super) fn response(
    urls: &Urls,
    authorization: &Authorization,
    now: Timestamp,
) -> AuthorizationResponse {
    AuthorizationResponse::new(authorization, now, |challenge| {
        urls.challenge(authorization.id, challenge)
    })
}
