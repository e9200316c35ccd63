//! Secrets in the database: sealed on the way in, opened for a named purpose on the way out.

use std::fmt;
use std::sync::Arc;

use certfleet_audit::{Act, Event, Sender};
use certfleet_domain::{AuthorityName, Clock, IssuerId, SystemRng};
use certfleet_secrets::{
    Keyring, MalformedSealed, OpenError, Place, Purpose, SealError, Sealed, Secret,
};
use rand::RngCore;

use crate::error::{CommitError, StorageError};
use crate::group::Unit;
use crate::repositories::SealedSecrets;
use crate::store::Store;

/// Which secret: its name is its id in the database, and part of what it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretName {
    /// The key of an issuer, PKCS#8.
    IssuerKey(IssuerId),
    /// The key of an authority's root, PKCS#8. Opened only to sign another issuer.
    RootKey(AuthorityName),
    /// The key and chain that the API shows, signed by this authority, PEM.
    ServerCertificate(AuthorityName),
    /// The key that nonces are minted with, by its number.
    NonceKey(u8),
    /// The key that the audit trail is signed with, PKCS#8.
    CheckpointKey,
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IssuerKey(id) => write!(f, "issuer-key/{id}"),
            Self::RootKey(authority) => write!(f, "root-key/{authority}"),
            Self::ServerCertificate(authority) => write!(f, "server-certificate/{authority}"),
            Self::NonceKey(number) => write!(f, "nonce-key/{number}"),
            Self::CheckpointKey => write!(f, "checkpoint-key"),
        }
    }
}

/// Trouble with a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The database is in trouble.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The secret does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The secret cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What is stored is not a sealed value.
    #[error("secret {name}: {source}")]
    Malformed {
        /// The secret's name.
        name: SecretName,
        /// What is wrong.
        source: MalformedSealed,
    },
    /// There is no secret of this name.
    #[error("there is no secret {0}")]
    Missing(SecretName),
}

/// The secrets of one database, with the keys to open them. Clones share both.
#[derive(Clone)]
pub struct Vault {
    secrets: SealedSecrets,
    database: String,
    keyring: Arc<Keyring>,
}

impl Vault {
    /// The secrets of `store`, under the KEKs of `keyring`.
    pub fn new(store: &Store, keyring: Arc<Keyring>) -> Self {
        Self {
            secrets: store.secrets.clone(),
            database: store.database().name().to_owned(),
            keyring,
        }
    }

    /// Opens the secret of this name; `None` if there is none.
    pub async fn open(
        &self,
        name: &SecretName,
        purpose: Purpose,
    ) -> Result<Option<Secret>, VaultError> {
        let Some(bytes) = self.secrets.find(&name.to_string()).await? else {
            return Ok(None);
        };
        let sealed = Sealed::from_bytes(bytes).map_err(|source| VaultError::Malformed {
            name: name.clone(),
            source,
        })?;
        let opened = self
            .keyring
            .open(&self.place(name), &sealed, purpose)
            .await?;
        Ok(Some(opened))
    }

    /// Opens the secret of this name, which has to be there.
    pub async fn require(&self, name: &SecretName, purpose: Purpose) -> Result<Secret, VaultError> {
        self.open(name, purpose)
            .await?
            .ok_or_else(|| VaultError::Missing(name.clone()))
    }

    /// The unit that stores a new secret; refused as a duplicate if there is one of its name.
    pub async fn insert(
        &self,
        name: &SecretName,
        secret: &Secret,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Unit, VaultError> {
        let sealed = self.seal(name, secret, rng).await?;
        Ok(self.secrets.insert(
            &name.to_string(),
            &sealed.kek().to_string(),
            sealed.as_bytes(),
        ))
    }

    /// Makes a secret that the whole cluster shares, on record, and opens it. Of several that make it at once one does, and
    /// all open that one.
    pub async fn make(
        &self,
        store: &Store,
        name: &SecretName,
        purpose: Purpose,
        secret: &Secret,
        sender: &Sender,
        clock: &dyn Clock,
    ) -> Result<Secret, VaultError> {
        let event = Event::new(
            sender,
            Act::CreateSecret,
            format_args!("secret/{name}"),
            clock,
        );
        let unit = self.insert(name, secret, &mut SystemRng).await?;
        match store.commit(unit.recording(&event)?).await {
            Ok(()) => tracing::info!(%name, "made a secret"),
            Err(CommitError::Storage(error)) => return Err(error.into()),
            Err(CommitError::Duplicate { .. } | CommitError::Changed { .. }) => {}
        }
        self.require(name, purpose).await
    }

    /// The unit that stores a secret in place of what is there under its name, if anything is.
    pub async fn put(
        &self,
        name: &SecretName,
        secret: &Secret,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Unit, VaultError> {
        let sealed = self.seal(name, secret, rng).await?;
        Ok(self.secrets.put(
            &name.to_string(),
            &sealed.kek().to_string(),
            sealed.as_bytes(),
        ))
    }

    /// The ids of KEKs that secrets are sealed under and that are not at hand. While there are any, a service is not
    /// ready.
    pub async fn missing_keks(&self) -> Result<Vec<String>, StorageError> {
        let held: Vec<String> = self.keyring.ids().map(ToString::to_string).collect();
        let counts = self.secrets.count_by_kek().await?;
        Ok(counts
            .into_iter()
            .map(|(kek, _)| kek)
            .filter(|kek| !held.contains(kek))
            .collect())
    }

    async fn seal(
        &self,
        name: &SecretName,
        secret: &Secret,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Sealed, VaultError> {
        let place = self.place(name);
        Ok(self.keyring.seal(&place, secret, rng).await?)
    }

    fn place(&self, name: &SecretName) -> Place {
        Place::new(
            &self.database,
            SealedSecrets::COLLECTION,
            name.to_string(),
            SealedSecrets::FIELD,
        )
    }
}
