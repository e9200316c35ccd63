//! An account (RFC 8555 §7.3.2, §7.3.6): shown, changed, given up.

use axum::Json;
use axum::extract::{Path, State};
use certfleet_acme::PublicKey;
use certfleet_acme::messages::{AccountResponse, AccountUpdate};
use certfleet_audit::Act;
use certfleet_domain::{Account, AccountId, ProblemKind};

use crate::app::App;
use crate::error::ApiError;
use crate::signed::{AtAuthority, ByAccount, valid_account};
use crate::ticket::Deed;

/// How often a change is begun anew because another was faster.
const STARTS: usize = 16;

pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: ByAccount,
) -> Result<Json<AccountResponse>, ApiError> {
    let ByAccount {
        at,
        account,
        key,
        jws,
        ticket,
    } = request;
    require_own(&account, &id)?;
    let orders = at.urls.orders(account.id);
    if jws.is_post_as_get() {
        return Ok(Json(AccountResponse::new(&account, orders)));
    }
    let update: AccountUpdate = jws.payload()?;
    let contacts = update.contacts()?;
    let mut account = account;
    for _ in 0..STARTS {
        let mut changed = account.clone();
        if update.is_deactivation() {
            changed = changed.deactivate()?;
        }
        if let Some(contacts) = &contacts {
            changed.contacts.clone_from(contacts);
        }
        if changed == account {
            return Ok(Json(AccountResponse::new(&changed, orders)));
        }
        let unit = app.store.accounts.update(&changed)?;
        let act = if update.is_deactivation() {
            Act::DeactivateAccount
        } else {
            Act::UpdateAccount
        };
        let deed = Deed::new(act, format_args!("account/{}", account.id));
        match ticket.act(&app, unit, deed).await {
            Ok(()) => return Ok(Json(AccountResponse::new(&changed, orders))),
            Err(error) if error.is_conflict() && !error.is_spent_nonce() => {}
            Err(error) => return Err(error.into()),
        }
        // Another request of the account was faster. This one counts all the same, if it may still be signed so.
        account = current(&app, &at, account.id, &key).await?;
    }
    Err(ApiError::Contended)
}

/// The account as it is now, if it is still valid and has this key.
pub(super) async fn current(
    app: &App,
    at: &AtAuthority,
    id: AccountId,
    key: &PublicKey,
) -> Result<Account, ApiError> {
    let account = valid_account(app, at, id).await?;
    if account.thumbprint == key.thumbprint() {
        Ok(account)
    } else {
        let detail = "the account has another key since this request was signed";
        Err(ApiError::new(ProblemKind::Unauthorized, detail))
    }
}

/// An account may see and change itself only.
pub(super) fn require_own(account: &Account, id: &str) -> Result<(), ApiError> {
    if account.id.to_string() == id {
        Ok(())
    } else {
        let detail = "the request is signed by another account than the one it is about";
        Err(ApiError::new(ProblemKind::Unauthorized, detail))
    }
}
