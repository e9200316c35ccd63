//! An account (RFC 8555 §7.3.2, §7.3.6): shown, changed, given up.

use axum::Json;
use axum::extract::{Path, State};
use certfleet_acme::messages::{AccountResponse, AccountUpdate};
use certfleet_domain::ProblemKind;

use crate::app::App;
use crate::error::ApiError;
use crate::signed::ByAccount;

pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: ByAccount,
) -> Result<Json<AccountResponse>, ApiError> {
    let ByAccount {
        at,
        account,
        jws,
        ticket,
        ..
    } = request;
    require_own(&account, &id)?;
    let orders = at.urls.orders(account.id);
    if jws.is_post_as_get() {
        return Ok(Json(AccountResponse::new(&account, orders)));
    }
    let update: AccountUpdate = jws.payload()?;
    let contacts = update.contacts()?;
    let mut changed = account.clone();
    if update.is_deactivation() {
        changed = changed.deactivate()?;
    }
    if let Some(contacts) = contacts {
        changed.contacts = contacts;
    }
    if changed != account {
        let unit = app.store.accounts.update(&changed)?;
        ticket.commit(&app, unit).await?;
    }
    Ok(Json(AccountResponse::new(&changed, orders)))
}

/// An account may see and change itself only.
pub(super) fn require_own(account: &certfleet_domain::Account, id: &str) -> Result<(), ApiError> {
    if account.id.to_string() == id {
        Ok(())
    } else {
        let detail = "the request is signed by another account than the one it is about";
        Err(ApiError::new(ProblemKind::Unauthorized, detail))
    }
}
