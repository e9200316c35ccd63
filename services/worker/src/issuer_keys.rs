//! The keys of the authorities' issuers, opened here and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use certfleet_domain::IssuerId;
use certfleet_secrets::Purpose;
use certfleet_signer::InternalKey;
use certfleet_storage::{SecretName, Vault};
use zeroize::Zeroizing;

/// The keys of issuers. Each is opened once and kept for as long as the process lives.
pub struct IssuerKeys {
    vault: Vault,
    open: RwLock<HashMap<IssuerId, Arc<InternalKey>>>,
}

impl IssuerKeys {
    /// Those of this database.
    pub fn new(vault: Vault) -> Self {
        Self {
            vault,
            open: RwLock::default(),
        }
    }

    /// An issuer's key; says why it is not to be had.
    pub async fn get(
        &self,
        issuer: IssuerId,
        purpose: Purpose,
    ) -> Result<Arc<InternalKey>, String> {
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
        let der = Zeroizing::new(secret.expose().to_vec());
        let key =
            InternalKey::from_pkcs8_der(&der).map_err(|error| format!("secret {name}: {error}"))?;
        let key = Arc::new(key);
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(issuer, Arc::clone(&key));
        Ok(key)
    }
}
