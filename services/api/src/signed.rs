//! Requests that are signed: from bytes to an account and a payload (RFC 8555 §6.2 to §6.5).
//!
//! The checks come in the order of their cost: form first, then the nonce's own mark, then the account and the
//! signature. A request that fails here costs no write; from here on its [`Ticket`] sees to it that the nonce is spent.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, OriginalUri, Path, Request};
use certfleet_acme::{Jws, KeyReference, PublicKey, Verified, media_type};
use certfleet_audit::{Actor, Sender};
use certfleet_domain::{Account, AccountId, AccountStatus, Authority, AuthorityName, ProblemKind};
use certfleet_service_kit::{ClientIp, RequestId};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Deserialize;

use crate::app::App;
use crate::body;
use crate::error::ApiError;
use crate::ticket::Ticket;
use crate::urls::Urls;

/// The authority that a request's path names; at `/directory`, which names none, the default one.
pub struct AtAuthority {
    /// The authority.
    pub authority: Arc<Authority>,
    /// The URLs of its resources.
    pub urls: Urls,
}

#[derive(Deserialize)]
struct AuthorityPath {
    authority: String,
}

impl FromRequestParts<App> for AtAuthority {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let none = || ApiError::NotFound("there is no authority of this name");
        // The route without parameters is that of the default one.
        let name: AuthorityName = match Path::<AuthorityPath>::from_request_parts(parts, app).await
        {
            Ok(Path(path)) => path.authority.parse().map_err(|_| none())?,
            Err(_)
                if parts
                    .extensions
                    .get::<MatchedPath>()
                    .is_some_and(is_default) =>
            {
                app.policy.default_authority.clone()
            }
            Err(_) => return Err(none()),
        };
        let authority = app.authorities.find(&name).await?.ok_or_else(none)?;
        Ok(Self {
            urls: app.url.authority(&name),
            authority,
        })
    }
}

fn is_default(route: &MatchedPath) -> bool {
    route.as_str() == "/directory"
}

/// A request signed by an account.
pub struct ByAccount {
    /// Where it was sent.
    pub at: AtAuthority,
    /// Who signed it; valid.
    pub account: Account,
    /// The account's key.
    pub key: PublicKey,
    /// What was signed.
    pub jws: Verified,
    /// The nonce it came with.
    pub ticket: Ticket,
}

/// A request signed by a key that comes with it: newAccount, and revokeCert by the certificate's key.
pub struct ByKey {
    /// Where it was sent.
    pub at: AtAuthority,
    /// The key.
    pub key: PublicKey,
    /// What was signed.
    pub jws: Verified,
    /// The nonce it came with.
    pub ticket: Ticket,
}

/// A request signed one way or the other.
pub enum Signed {
    /// By an account.
    Account(ByAccount),
    /// By a key that comes with it.
    Key(ByKey),
}

impl Signed {
    /// What was signed.
    pub fn jws(&self) -> &Verified {
        match self {
            Self::Account(signed) => &signed.jws,
            Self::Key(signed) => &signed.jws,
        }
    }
}

impl FromRequest<App> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let content_type = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        media_type::require_jose_json(content_type)?;
        let at = AtAuthority::from_request_parts(&mut parts, app).await?;
        let body = body::read(body).await?;
        let jws = Jws::parse(&body)?;
        let OriginalUri(uri) = OriginalUri::from_request_parts(&mut parts, app)
            .await
            .unwrap_or_else(|never| match never {});
        let path = uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        jws.require_url(&app.url.under(path))?;
        let nonce = app.open_nonce(jws.nonce())?;
        let ticket: Ticket = parts.extensions.get().cloned().ok_or_else(|| {
            ApiError::Internal("a route for signed requests gives them no ticket".to_owned())
        })?;
        let signed = match jws.key().clone() {
            KeyReference::Jwk(key) => {
                let jws = jws.verify(&key)?;
                let ticket = ticket.clone();
                Self::Key(ByKey {
                    at,
                    key,
                    jws,
                    ticket,
                })
            }
            KeyReference::Kid(kid) => {
                let account = account_of(app, &at, &kid).await?;
                let key = PublicKey::from_canonical(&account.jwk).map_err(|error| {
                    ApiError::Internal(format!("account {}: jwk: {error}", account.id))
                })?;
                let jws = jws.verify(&key)?;
                Self::Account(ByAccount {
                    at,
                    account,
                    key,
                    jws,
                    ticket: ticket.clone(),
                })
            }
        };
        let actor = match &signed {
            Self::Account(by) => Actor::Account(by.account.id),
            Self::Key(by) => Actor::Key(by.key.thumbprint().clone()),
        };
        ticket.hold(nonce, sender(app, &parts, actor));
        if signed.jws().is_post_as_get() {
            ticket.spend_meanwhile(app);
        }
        Ok(signed)
    }
}

fn sender(app: &App, parts: &Parts, actor: Actor) -> Sender {
    let address = parts.extensions.get::<ClientIp>();
    let request = parts.extensions.get::<RequestId>();
    Sender {
        server: app.server,
        actor,
        address: address.map(|ClientIp(address)| *address),
        request: request.map(ToString::to_string),
    }
}

async fn account_of(app: &App, at: &AtAuthority, kid: &str) -> Result<Account, ApiError> {
    let id = at.urls.account_of(kid).ok_or_else(no_account)?;
    valid_account(app, at, id).await
}

fn no_account() -> ApiError {
    let detail =
        "there is no account of this URL (\"kid\") at this authority: create one with newAccount";
    ApiError::new(ProblemKind::AccountDoesNotExist, detail)
}

/// The account of this id, if it is one of this authority and may be used.
pub async fn valid_account(
    app: &App,
    at: &AtAuthority,
    id: AccountId,
) -> Result<Account, ApiError> {
    let found = app.store.accounts.find(id).await?;
    let account = found.ok_or_else(no_account)?;
    if account.authority != at.authority.name {
        return Err(no_account());
    }
    match account.status {
        AccountStatus::Valid => Ok(account),
        AccountStatus::Deactivated | AccountStatus::Revoked => {
            Err(ApiError::AccountUnusable(account.status.name()))
        }
    }
}

impl FromRequest<App> for ByAccount {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        match Signed::from_request(request, app).await? {
            Signed::Account(signed) => Ok(signed),
            Signed::Key(_) => Err(ApiError::new(
                ProblemKind::Malformed,
                "this resource takes requests that name their account by \"kid\", not a \"jwk\" (RFC 8555 §6.2)",
            )),
        }
    }
}

impl FromRequest<App> for ByKey {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        match Signed::from_request(request, app).await? {
            Signed::Key(signed) => Ok(signed),
            Signed::Account(_) => Err(ApiError::new(
                ProblemKind::Malformed,
                "this resource takes requests that carry their key as \"jwk\", not a \"kid\" (RFC 8555 §7.3)",
            )),
        }
    }
}
