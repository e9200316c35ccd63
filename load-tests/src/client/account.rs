//! An account at the server under test (RFC 8555 §7.3).

use super::failure::Failure;
use super::jws::{AccountKey, Identity};
use super::session::Session;
use crate::measure::steps::Step;

/// A registered account.
pub(crate) struct Account {
    pub(crate) key: AccountKey,
    kid: String,
}

impl Account {
    /// Registers a fresh key.
    pub(crate) async fn register(session: &mut Session) -> Result<Self, Failure> {
        let key = AccountKey::generate()?;
        let url = session.directory().new_account.clone();
        let payload = r#"{"termsOfServiceAgreed":true}"#;
        let signer = (&key, Identity::Jwk);
        let answer = session
            .post(Step::NewAccount, signer, &url, payload)
            .await?;
        let kid = answer
            .location
            .ok_or_else(|| Failure::new("newAccount: no Location", ""))?;
        Ok(Self { key, kid })
    }

    /// What signs this account's requests.
    pub(crate) fn signer(&self) -> (&AccountKey, Identity<'_>) {
        (&self.key, Identity::Kid(&self.kid))
    }
}
