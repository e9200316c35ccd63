//! Who asks: the bearer of a token (RFC 6750 §2.1), and what they may do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::extract::FromRequestParts;
use certfleet_audit::{Actor, Sender};
use certfleet_domain::{ApiToken, Permission, ProjectName, Sight, Timestamp, TokenId};
use certfleet_management::ShownToken;
use certfleet_service_kit::{ClientIp, RequestId};
use http::header::AUTHORIZATION;
use http::request::Parts;
use time::Duration;

use super::problem::RestError;
use crate::app::App;

/// That a token is used is noted so often at the most.
const NOTED_EVERY: Duration = Duration::MINUTE;

/// When this replica has noted last that a token is used. There are as many as tokens.
#[derive(Default)]
pub struct TokenUses(Mutex<HashMap<TokenId, Timestamp>>);

impl TokenUses {
    /// Whether that is to be noted now.
    fn is_due(&self, token: TokenId, now: Timestamp) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = noted.get(&token).is_none_or(|at| *at + NOTED_EVERY <= now);
        if due {
            noted.insert(token, now);
        }
        due
    }
}

/// The bearer of a token that counts.
pub struct Bearer {
    token: ApiToken,
    /// Who they are, for the record.
    pub sender: Sender,
}

impl Bearer {
    /// Which token.
    pub fn token(&self) -> TokenId {
        self.token.id
    }

    /// Whose things they get to see.
    pub fn sight(&self) -> Sight {
        self.token.sight()
    }

    /// Whether they may do this in that project, or, without one, to what belongs to none.
    pub fn may(&self, permission: Permission, project: Option<&ProjectName>) -> bool {
        self.token.may(permission, project)
    }

    /// Refuses those who may not.
    pub fn require(
        &self,
        permission: Permission,
        project: Option<&ProjectName>,
    ) -> Result<(), RestError> {
        if self.may(permission, project) {
            Ok(())
        } else {
            Err(RestError::Forbidden(permission))
        }
    }

    /// What was found, if they get to see it: what they do not, is not there for them.
    pub fn sees<T>(
        &self,
        found: Option<T>,
        project: impl Fn(&T) -> &ProjectName,
        what: &str,
    ) -> Result<T, RestError> {
        let sight = self.sight();
        let seen = found.filter(|found| sight.includes(project(found)));
        seen.ok_or_else(|| RestError::NotFound(format!("there is no {what} of this name or id")))
    }
}

impl FromRequestParts<App> for Bearer {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, RestError> {
        const NONE: &str =
            "a token is due: Authorization: Bearer cft_..., made by certfleet token create";
        // Why it does not count is for the log: a guess is told nothing.
        const WRONG: &str = "the token does not count: it is unknown, has expired or was revoked";
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .ok_or(RestError::Unauthorized(NONE))?;
        let shown = header.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        let shown = shown.ok_or(RestError::Unauthorized(NONE))?;
        let Ok(shown) = shown.parse::<ShownToken>() else {
            return Err(RestError::Unauthorized(WRONG));
        };
        let found = app.store.access.token(shown.id).await?;
        let token = found.ok_or(RestError::Unauthorized(WRONG))?;
        let now = app.now();
        if let Err(why) = token.admit(shown.digest, now) {
            tracing::info!(token = %token.id, %why, "a bearer was not let in");
            return Err(RestError::Unauthorized(WRONG));
        }
        if app.token_uses.is_due(token.id, now) {
            let (store, unit) = (app.store.clone(), app.store.access.used(token.id));
            // Nobody waits for it, and the next minute brings the next.
            tokio::spawn(async move { store.commit(unit).await });
        }
        let address: Option<&ClientIp> = parts.extensions.get();
        let request: Option<&RequestId> = parts.extensions.get();
        let sender = Sender {
            server: app.server,
            actor: Actor::Token(token.id),
            address: address.map(|address| address.0),
            request: request.map(ToString::to_string),
        };
        Ok(Self { token, sender })
    }
}
