//! newAccount (RFC 8555 §7.3): makes an account, or finds the one that the key has.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::{AccountResponse, NewAccount};
use certfleet_acme::{KeyKind, PublicKey};
use certfleet_audit::Act;
use certfleet_domain::{Account, AccountId, AccountStatus, LimitKey, ProblemKind, SystemRng};
use certfleet_pki::public_key_strength;
use certfleet_service_kit::ClientIp;
use certfleet_storage::{CommitError, collections};
use http::StatusCode;
use http::header::LOCATION;

use super::binding::{self, Bound};
use crate::app::App;
use crate::error::ApiError;
use crate::signed::{AtAuthority, ByKey};
use crate::ticket::{Deed, Ticket};

pub async fn post(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    request: ByKey,
) -> Result<Response, ApiError> {
    let ByKey {
        at,
        key,
        jws,
        ticket,
    } = request;
    let wish: NewAccount = jws.payload()?;
    let thumbprint = key.thumbprint();
    let find = || {
        app.store
            .accounts
            .find_by_key(&at.authority.name, &thumbprint)
    };
    if let Some(account) = find().await? {
        return existing(&at, &account);
    }
    if wish.only_return_existing == Some(true) {
        let detail = "no account has this key, and onlyReturnExisting is set";
        return Err(ApiError::new(ProblemKind::AccountDoesNotExist, detail));
    }
    require_strong(&key)?;
    let agreed = wish.terms_of_service_agreed == Some(true);
    if let Some(terms) = &app.policy.terms_of_service
        && !agreed
    {
        return Err(ApiError::TermsNotAgreed(terms.clone()));
    }
    let bound = binding::check(&app, &at, &wish, &key).await?;
    let now = app.now();
    let account = Account {
        id: AccountId::generate(app.clock.as_ref(), &mut SystemRng),
        authority: at.authority.name.clone(),
        jwk: key.canonical().to_owned(),
        thumbprint: thumbprint.clone(),
        contacts: wish.contacts()?,
        terms_agreed_at: agreed.then_some(now),
        eab_key: bound.as_ref().map(Bound::id),
        status: AccountStatus::Valid,
        created_at: now,
        version: 0,
    };
    let address = LimitKey::address(&at.authority.name, address);
    let admission = app.limits.admit(vec![address], now).await?;
    let made = make(&app, &at, &ticket, &account, bound).await;
    let fate = match made {
        Ok(fate) => fate,
        Err(refusal) => {
            app.limits.give_back(admission).await;
            return Err(refusal);
        }
    };
    app.limits.settle(admission, &fate).await;
    match fate {
        Ok(()) => Ok(answer(&at, &account, StatusCode::CREATED)),
        // The same key came in on another replica at the same moment: that account is the one.
        Err(CommitError::Duplicate { .. }) => match find().await? {
            Some(account) => existing(&at, &account),
            None => Err(ApiError::Contended),
        },
        Err(error) => Err(error.into()),
    }
}

/// Stores the account, and uses the key that binds it, if one does.
async fn make(
    app: &App,
    at: &AtAuthority,
    ticket: &Ticket,
    account: &Account,
    mut bound: Option<Bound>,
) -> Result<Result<(), CommitError>, ApiError> {
    loop {
        let mut unit = app.store.accounts.insert(account)?;
        let mut deed = Deed::new(Act::CreateAccount, format_args!("account/{}", account.id));
        if let Some(bound) = &bound {
            unit = unit.and(bound.unit(app, account.created_at)?);
            deed = deed.with_detail(format_args!("bound by eab-key/{}", bound.id()));
        }
        match (ticket.act(app, unit, deed).await, bound.take()) {
            // Another account was bound by the same key meanwhile: it may be good for this one yet.
            (Err(error), Some(before)) if error.is_change_in(collections::EAB_KEYS) => {
                bound = Some(before.again(app, at).await?);
            }
            (fate, _) => return Ok(fate),
        }
    }
}

fn existing(at: &AtAuthority, account: &Account) -> Result<Response, ApiError> {
    match account.status {
        AccountStatus::Valid => Ok(answer(at, account, StatusCode::OK)),
        AccountStatus::Deactivated | AccountStatus::Revoked => {
            Err(ApiError::AccountUnusable(account.status.name()))
        }
    }
}

fn answer(at: &AtAuthority, account: &Account, status: StatusCode) -> Response {
    let body = AccountResponse::new(account, at.urls.orders(account.id));
    (
        status,
        [(LOCATION, at.urls.account(account.id))],
        Json(body),
    )
        .into_response()
}

/// Keys that others have shown to be weak are not accepted. An Ed25519 key cannot be: each is as good as another.
pub(super) fn require_strong(key: &PublicKey) -> Result<(), ApiError> {
    match key.kind() {
        KeyKind::Ed25519 => Ok(()),
        KeyKind::P256 | KeyKind::P384 | KeyKind::Rsa => public_key_strength(key.spki_der())
            .map_err(|weakness| ApiError::new(ProblemKind::BadPublicKey, weakness.to_string())),
    }
}
