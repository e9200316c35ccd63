//! The authorities that the fleet has certificates from: their servers, opened once, and the fleet's account at each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certfleet_acme::{Algorithm, SigningKey};
use certfleet_audit::{Act, Outcome};
use certfleet_domain::{Clock, Upstream, UpstreamName};
use certfleet_secrets::{Purpose, Secret};
use certfleet_signer::{InternalKey, KeyAlgorithm};
use certfleet_storage::{CommitError, SecretName, StorageError, Store, Vault, VaultError};
use certfleet_upstream::{Member, Server, UpstreamError};
use tokio::time::Instant;

use crate::handlers::HandlerError;
use crate::recorder::Recorder;

/// A directory is read anew after this time: an authority may move things.
const OPEN_FOR: Duration = Duration::from_secs(3600);

/// The authorities that the fleet has certificates from.
pub struct Upstreams {
    store: Store,
    vault: Vault,
    clock: Arc<dyn Clock>,
    open: Mutex<HashMap<UpstreamName, Open>>,
}

struct Open {
    server: Arc<Server>,
    /// Of which version of its settings.
    version: i64,
    since: Instant,
}

/// An authority at work: what is known of it, and its server.
pub struct AtUpstream {
    /// What is known of it.
    pub upstream: Upstream,
    /// Its server.
    pub server: Arc<Server>,
}

/// Why there is no account at an authority.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The authority is why.
    #[error("{0}: {1}")]
    Upstream(UpstreamName, UpstreamError),
    /// We are.
    #[error(transparent)]
    Ours(#[from] HandlerError),
}

impl From<StorageError> for MemberError {
    fn from(error: StorageError) -> Self {
        Self::Ours(error.into())
    }
}

impl From<VaultError> for MemberError {
    fn from(error: VaultError) -> Self {
        Self::Ours(error.into())
    }
}

impl From<MemberError> for HandlerError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Upstream(name, error) => passing(&name, &error),
            MemberError::Ours(error) => error,
        }
    }
}

impl Upstreams {
    /// Over the database and its secrets.
    pub fn new(store: Store, vault: Vault, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            vault,
            clock,
            open: Mutex::default(),
        }
    }

    /// The authority of this name, its directory read.
    pub async fn at(&self, name: &UpstreamName) -> Result<AtUpstream, HandlerError> {
        let found = self.store.fleet.upstream(name).await?;
        let upstream = found.ok_or_else(|| {
            HandlerError::Passing(format!("there is no authority {name} in the fleet"))
        })?;
        if let Some(server) = self.recall(&upstream) {
            return Ok(AtUpstream { upstream, server });
        }
        let server = Server::open(&upstream)
            .await
            .map_err(|error| passing(name, &error))?;
        let server = Arc::new(server);
        let open = Open {
            server: Arc::clone(&server),
            version: upstream.version,
            since: Instant::now(),
        };
        self.open().insert(name.clone(), open);
        Ok(AtUpstream { upstream, server })
    }

    fn recall(&self, upstream: &Upstream) -> Option<Arc<Server>> {
        let open = self.open();
        let known = open.get(&upstream.name)?;
        let is_fresh = known.version == upstream.version && known.since.elapsed() < OPEN_FOR;
        is_fresh.then(|| Arc::clone(&known.server))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<UpstreamName, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fleet's account there. Its key is kept before the account is made, so that however often this is broken off there
    /// is one account, and a binding is used once.
    pub async fn member<'s>(
        &self,
        at: &'s AtUpstream,
        recorder: &Recorder,
    ) -> Result<Member<'s>, MemberError> {
        let upstream = &at.upstream;
        let name = SecretName::UpstreamAccount(upstream.name.clone());
        let kept = self.vault.open(&name, Purpose::ActAtUpstream).await?;
        let pkcs8 = match kept {
            Some(kept) => kept,
            None => self.make_key(&name, recorder).await?,
        };
        let key = SigningKey::from_pkcs8(Algorithm::Es256, pkcs8.expose())
            .map_err(|error| HandlerError::Lasting(format!("{name}: {error}")))?;
        if let Some(url) = &upstream.account {
            return Ok(Member::known(&at.server, key, url.clone()));
        }
        let mut bound = None;
        if let Some(binding) = &upstream.binding {
            let name = SecretName::UpstreamBinding(upstream.name.clone());
            let mac_key = self.vault.require(&name, Purpose::JoinUpstream).await?;
            bound = Some((binding.kid.as_str(), mac_key));
        }
        let binding = bound
            .as_ref()
            .map(|(kid, mac_key)| (*kid, mac_key.expose()));
        let member = Member::join(&at.server, key, &upstream.contacts, binding)
            .await
            .map_err(|error| MemberError::Upstream(upstream.name.clone(), error))?;
        let joined = upstream.clone().joined(member.url().to_owned());
        let event = recorder.event(
            Act::JoinUpstream,
            format!("upstream/{}", upstream.name),
            Outcome::Done,
            member.url(),
        );
        let unit = self
            .store
            .fleet
            .update_upstream(&joined)?
            .recording(&event)?;
        match self.store.commit(unit).await {
            // Another worker has joined with the same key at the same moment: that is the same account.
            Ok(()) | Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Ok(member),
            Err(CommitError::Storage(error)) => Err(error.into()),
        }
    }

    async fn make_key(
        &self,
        name: &SecretName,
        recorder: &Recorder,
    ) -> Result<Secret, HandlerError> {
        let lasting = |error: &dyn std::fmt::Display| HandlerError::Lasting(error.to_string());
        let key =
            InternalKey::generate(KeyAlgorithm::EcdsaP256).map_err(|error| lasting(&error))?;
        let pkcs8 = key.to_pkcs8_der().map_err(|error| lasting(&error))?;
        let secret = Secret::new(pkcs8.to_vec());
        let made = self.vault.make(
            name,
            Purpose::ActAtUpstream,
            &secret,
            &recorder.sender,
            self.clock.as_ref(),
        );
        Ok(made.await?)
    }
}

fn passing(name: &UpstreamName, error: &UpstreamError) -> HandlerError {
    HandlerError::Passing(format!("{name}: {error}"))
}
