//! The keys of the authorities' issuers, opened here and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use certfleet_domain::{Clock, IssuerId};
use certfleet_pkcs11::TokenAccess;
use certfleet_secrets::Purpose;
use certfleet_signer::SigningKey;
use certfleet_storage::{SecretName, Vault};
use zeroize::Zeroizing;

/// The keys of issuers. Each is opened once and kept for as long as the process lives.
pub struct IssuerKeys {
    vault: Vault,
    tokens: Option<TokenAccess>,
    clock: Arc<dyn Clock>,
    open: RwLock<HashMap<IssuerId, Arc<SigningKey>>>,
}

impl IssuerKeys {
    /// Those of this database. What lies in tokens is reached there.
    pub fn new(vault: Vault, tokens: Option<TokenAccess>, clock: Arc<dyn Clock>) -> Self {
        Self {
            vault,
            tokens,
            clock,
            open: RwLock::default(),
        }
    }

    /// An issuer's key; says why it is not to be had.
    pub async fn get(&self, issuer: IssuerId, purpose: Purpose) -> Result<Arc<SigningKey>, String> {
        if let Some(key) = self
            .open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&issuer)
        {
            return Ok(Arc::clone(key));
        }
        let name = SecretName::IssuerKey(issuer);
        let secret = self
            .vault
            .require(&name, purpose)
            .await
            .map_err(|error| error.to_string())?;
        let kept = Zeroizing::new(secret.expose().to_vec());
        let key = SigningKey::read(&kept, self.tokens.as_ref(), Arc::clone(&self.clock));
        let key = Arc::new(key.map_err(|error| format!("secret {name}: {error}"))?);
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(issuer, Arc::clone(&key));
        Ok(key)
    }
}
