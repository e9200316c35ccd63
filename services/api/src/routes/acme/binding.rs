//! External account binding (RFC 8555 §7.3.4): who may have an account.

use certfleet_acme::messages::NewAccount;
use certfleet_acme::{PublicKey, UnverifiedBinding};
use certfleet_domain::{CannotBind, EabKey, EabKeyId, ProblemKind, Timestamp};
use certfleet_secrets::Purpose;
use certfleet_storage::{SecretName, Unit};

use crate::app::App;
use crate::error::ApiError;
use crate::signed::AtAuthority;

/// A key whose holder wants this account: its MAC was verified.
pub(super) struct Bound(EabKey);

/// Checks the binding of a newAccount request, if there is one or one is due.
pub(super) async fn check(
    app: &App,
    at: &AtAuthority,
    wish: &NewAccount,
    account_key: &PublicKey,
) -> Result<Option<Bound>, ApiError> {
    let Some(binding) = &wish.external_account_binding else {
        if at.authority.external_account_required {
            let detail = "accounts of this authority have to be bound (RFC 8555 §7.3.4): get a key identifier and a MAC key from \
                          its administrator, and give both to your client (\"EAB\")";
            return Err(ApiError::new(ProblemKind::ExternalAccountRequired, detail));
        }
        return Ok(None);
    };
    let binding = UnverifiedBinding::parse(binding, &at.urls.new_account(), account_key)
        .map_err(|error| error.problem())?;
    let id: EabKeyId = binding.kid().parse().map_err(|_| unknown())?;
    let key = find(app, at, id).await?;
    let secret = app
        .vault
        .require(&SecretName::EabKey(id), Purpose::CheckBinding)
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    binding
        .verify(secret.expose())
        .map_err(|error| error.problem())?;
    Ok(Some(Bound(key)))
}

impl Bound {
    /// Which key it is.
    pub(super) fn id(&self) -> EabKeyId {
        self.0.id
    }

    /// The unit that uses the key for one more account; nobody else may have used it meanwhile.
    pub(super) fn unit(&self, app: &App, now: Timestamp) -> Result<Unit, ApiError> {
        let used = self.0.clone().bind(now).map_err(refused)?;
        Ok(app.store.eab_keys.update(&used)?)
    }

    /// The key as it is by now.
    pub(super) async fn again(self, app: &App, at: &AtAuthority) -> Result<Self, ApiError> {
        find(app, at, self.0.id).await.map(Self)
    }
}

async fn find(app: &App, at: &AtAuthority, id: EabKeyId) -> Result<EabKey, ApiError> {
    let found = app.store.eab_keys.find(id).await?;
    found
        .filter(|key| key.authority == at.authority.name)
        .ok_or_else(unknown)
}

fn unknown() -> ApiError {
    let detail = "this authority knows no key of the \"kid\" in \"externalAccountBinding\" (RFC 8555 §7.3.4)";
    ApiError::new(ProblemKind::Unauthorized, detail)
}

fn refused(why: CannotBind) -> ApiError {
    let detail = format!("{why}: ask the authority's administrator for another");
    ApiError::new(ProblemKind::Unauthorized, detail)
}
