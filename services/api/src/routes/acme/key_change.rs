//! Key rollover (RFC 8555 §7.3.5).

use axum::Json;
use axum::extract::State;
use certfleet_acme::KeyChange;
use certfleet_acme::messages::AccountResponse;
use certfleet_audit::Act;
use certfleet_storage::CommitError;

use super::account::current;
use super::new_account::require_strong;
use crate::app::App;
use crate::error::ApiError;
use crate::signed::ByAccount;
use crate::ticket::Deed;

pub async fn post(
    State(app): State<App>,
    request: ByAccount,
) -> Result<Json<AccountResponse>, ApiError> {
    let ByAccount {
        at,
        account,
        key,
        jws,
        ticket,
    } = request;
    let KeyChange { new_key } = KeyChange::parse(&jws, &key)?;
    require_strong(&new_key)?;
    let thumbprint = new_key.thumbprint();
    let in_use = || async {
        let holder = app
            .store
            .accounts
            .find_by_key(&at.authority.name, &thumbprint)
            .await?;
        Ok::<_, ApiError>(holder.map(|holder| ApiError::KeyInUse(at.urls.account(holder.id))))
    };
    if let Some(error) = in_use().await? {
        return Err(error);
    }
    let id = account.id;
    let changed = account.roll_over(new_key.canonical().to_owned(), thumbprint.clone())?;
    let unit = app.store.accounts.update(&changed)?;
    let deed = Deed::new(Act::ChangeAccountKey, format_args!("account/{id}"))
        .with_detail(format_args!("from {} to {thumbprint}", key.thumbprint()));
    match ticket.act(&app, unit, deed).await {
        Ok(()) => Ok(Json(AccountResponse::new(
            &changed,
            at.urls.orders(changed.id),
        ))),
        Err(CommitError::Duplicate { .. }) => Err(in_use().await?.unwrap_or(ApiError::Contended)),
        // The account changed meanwhile; most likely its key did, and this request is signed by one of before.
        Err(error) if error.is_conflict() && !error.is_spent_nonce() => {
            current(&app, &at, id, &key).await?;
            Err(ApiError::Contended)
        }
        Err(error) => Err(error.into()),
    }
}
