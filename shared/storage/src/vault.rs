//! Secrets in the database: sealed on the way in, opened for a named purpose on the way out.

use std::fmt;
use std::sync::Arc;

use certfleet_audit::{Act, Event, Sender};
use certfleet_domain::{
    AuthorityName, Clock, EabKeyId, IssuerId, SolverName, SystemRng, UpstreamName, VersionId,
};
use certfleet_secrets::{
    KekId, Keyring, MalformedSealed, OpenError, Place, Purpose, SealError, Sealed, Secret,
};
use rand::RngCore;

use crate::at_hand::Seen;
use crate::error::{CommitError, StorageError};
use crate::group::Unit;
use crate::repositories::{Keks, SealedSecrets};
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
    /// The key and certificate that sign OCSP answers for this issuer, PEM.
    OcspResponder(IssuerId),
    /// The key that binds accounts, as it is: a MAC key.
    EabKey(EabKeyId),
    /// The key of the fleet's account at an authority, PKCS#8 (P-256).
    UpstreamAccount(UpstreamName),
    /// The MAC key that binds that account.
    UpstreamBinding(UpstreamName),
    /// The key of a managed certificate, PKCS#8.
    ManagedKey(VersionId),
    /// The key that updates of a zone are signed with.
    SolverKey(SolverName),
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
            Self::OcspResponder(issuer) => write!(f, "ocsp-responder/{issuer}"),
            Self::EabKey(id) => write!(f, "eab-key/{id}"),
            Self::UpstreamAccount(name) => write!(f, "upstream-account/{name}"),
            Self::UpstreamBinding(name) => write!(f, "upstream-binding/{name}"),
            Self::ManagedKey(version) => write!(f, "managed-key/{version}"),
            Self::SolverKey(name) => write!(f, "solver-key/{name}"),
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
    /// The KEK that seals is not at hand.
    #[error("KEK {0} seals, and this process does not have it")]
    NotAtHand(KekId),
    /// What a KEK is to be known again by is not a sealed value.
    #[error("the proof of KEK {kek}: {source}")]
    Proof {
        /// The KEK.
        kek: KekId,
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
    store: Store,
    keyring: Arc<Keyring>,
    seen: Seen,
}

impl Vault {
    /// The secrets of `store`, under the KEKs of `keyring`.
    pub fn new(store: &Store, keyring: Arc<Keyring>) -> Self {
        Self {
            store: store.clone(),
            keyring,
            seen: Seen::default(),
        }
    }

    /// Opens the secret of this name; `None` if there is none.
    pub async fn open(
        &self,
        name: &SecretName,
        purpose: Purpose,
    ) -> Result<Option<Secret>, VaultError> {
        let Some(bytes) = self.store.secrets.find(&name.to_string()).await? else {
            return Ok(None);
        };
        let sealed = Sealed::from_bytes(bytes).map_err(|source| VaultError::Malformed {
            name: name.clone(),
            source,
        })?;
        let opened = self
            .keyring
            .open(&self.place(&name.to_string()), &sealed, purpose)
            .await?;
        Ok(Some(opened))
    }

    /// Opens the secret of this name, which has to be there.
    pub async fn require(&self, name: &SecretName, purpose: Purpose) -> Result<Secret, VaultError> {
        self.open(name, purpose)
            .await?
            .ok_or_else(|| VaultError::Missing(name.clone()))
    }

    /// The unit that stores a new secret; refused as a duplicate if there is one of its name, and as too late if another KEK
    /// seals meanwhile.
    pub async fn insert(
        &self,
        name: &SecretName,
        secret: &Secret,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Unit, VaultError> {
        let name = name.to_string();
        let sealed = self.seal(&name, secret, rng).await?;
        let passing = self.store.keks.pass(sealed.kek(), &name);
        Ok(self.store.secrets.insert(&name, &sealed).and(passing))
    }

    /// Makes a secret that the whole cluster shares, on record, and opens it. Of several that make it at once one does, and
    /// all open that one.
    pub async fn make(
        &self,
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
        loop {
            let unit = self.insert(name, secret, &mut SystemRng).await?;
            match self.store.commit(unit.recording(&event)?).await {
                Ok(()) => tracing::info!(%name, "made a secret"),
                Err(CommitError::Storage(error)) => return Err(error.into()),
                // Another KEK seals by now.
                Err(CommitError::Changed { .. }) => continue,
                Err(CommitError::Duplicate { .. }) => {}
            }
            return self.require(name, purpose).await;
        }
    }

    /// The unit that stores a secret in place of what is there under its name, if anything is; refused as too late if
    /// another KEK seals meanwhile.
    pub async fn put(
        &self,
        name: &SecretName,
        secret: &Secret,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Unit, VaultError> {
        let name = name.to_string();
        let sealed = self.seal(&name, secret, rng).await?;
        let passing = self.store.keks.pass(sealed.kek(), &name);
        Ok(self.store.secrets.put(&name, &sealed).and(passing))
    }

    async fn seal(
        &self,
        name: &str,
        secret: &Secret,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Sealed, VaultError> {
        let place = self.place(name);
        let keyring = self.sealing_keyring().await?;
        Ok(keyring.seal(&place, secret, rng).await?)
    }

    /// The keyring in which the KEK seals that does so in the whole cluster, which has just shown that it is the right one.
    /// Where none ever did, it is the first that somebody's settings name.
    pub(crate) async fn sealing_keyring(&self) -> Result<Keyring, VaultError> {
        let sealing = loop {
            match self.store.keks.sealing().await? {
                Some(sealing) => break sealing,
                None => self.begin().await?,
            }
        };
        let keyring = self.keyring.sealing_under(&sealing.kek);
        let keyring = keyring.ok_or_else(|| VaultError::NotAtHand(sealing.kek.clone()))?;
        self.prove(&sealing.kek).await?;
        Ok(keyring)
    }

    async fn begin(&self) -> Result<(), VaultError> {
        let first = self.store.keks.begin(self.keyring.current());
        match self.store.commit(first).await {
            Err(CommitError::Storage(error)) => Err(error.into()),
            // Done, by whomever.
            Ok(()) | Err(CommitError::Duplicate { .. } | CommitError::Changed { .. }) => Ok(()),
        }
    }

    pub(crate) fn secrets(&self) -> &SealedSecrets {
        &self.store.secrets
    }

    pub(crate) fn keks(&self) -> &Keks {
        &self.store.keks
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The database's name, which is part of what secrets are bound to.
    pub(crate) fn database(&self) -> &str {
        self.store.database().name()
    }

    pub(crate) fn place(&self, name: &str) -> Place {
        Place::new(
            self.database(),
            SealedSecrets::COLLECTION,
            name,
            SealedSecrets::FIELD,
        )
    }
}
