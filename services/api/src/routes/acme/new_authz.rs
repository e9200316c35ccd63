//! newAuthz, pre-authorization (RFC 8555 §7.4.1).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::NewAuthorization;
use certfleet_audit::Act;
use certfleet_domain::{
    Account, Authorization, AuthorizationId, AuthorizationState, Challenge, ChallengeId,
    ChallengeKind, ChallengeState, Identifier, LimitKey, ProblemKind, SystemRng, Timestamp, Token,
};
use http::StatusCode;
use http::header::LOCATION;

use super::authorization;
use crate::app::App;
use crate::error::ApiError;
use crate::signed::{AtAuthority, ByAccount};
use crate::ticket::Deed;

pub async fn post(State(app): State<App>, request: ByAccount) -> Result<Response, ApiError> {
    app.require_no_maintenance()?;
    let ByAccount {
        at,
        account,
        jws,
        ticket,
        ..
    } = request;
    let wish: NewAuthorization = jws.payload()?;
    let identifier = wish.identifier.parse()?;
    if identifier.is_wildcard() {
        let detail = "a wildcard cannot be pre-authorized (RFC 8555 §7.4.1): order it";
        return Err(ApiError::new(ProblemKind::Malformed, detail));
    }
    let now = app.now();
    let fresh = pending(&app, &at, &account, identifier, now);
    let unit = app.store.authorizations.insert(&fresh)?;
    let identifiers = std::slice::from_ref(&fresh.identifier);
    app.limits
        .require_attempts(account.id, identifiers, now)
        .await?;
    let keys = vec![LimitKey::account(account.id)];
    let admission = app.limits.admit(keys, now).await?;
    let target = format!("authorization/{}", fresh.id);
    let deed = Deed::new(Act::CreateAuthorization, target).with_detail(&fresh.identifier);
    let fate = ticket.act(&app, unit, deed).await;
    app.limits.settle(admission, &fate).await;
    fate?;
    let body = authorization::response(&at.urls, &fresh, now);
    Ok((
        StatusCode::CREATED,
        [(LOCATION, at.urls.authorization(fresh.id))],
        Json(body),
    )
        .into_response())
}

/// A new authorization, with a challenge of each kind that can prove the identifier.
pub(super) fn pending(
    app: &App,
    at: &AtAuthority,
    account: &Account,
    identifier: Identifier,
    now: Timestamp,
) -> Authorization {
    let clock = app.clock.as_ref();
    let challenge = |kind: &ChallengeKind| Challenge {
        id: ChallengeId::generate(clock, &mut SystemRng),
        kind: *kind,
        token: Token::generate(&mut SystemRng),
        state: ChallengeState::Pending,
    };
    Authorization {
        id: AuthorizationId::generate(clock, &mut SystemRng),
        authority: at.authority.name.clone(),
        account: account.id,
        challenges: ChallengeKind::for_identifier(&identifier)
            .iter()
            .map(challenge)
            .collect(),
        identifier,
        created_at: now,
        expires_at: now + app.policy.pending_authorization_lifetime,
        state: AuthorizationState::Pending,
        version: 0,
    }
}
