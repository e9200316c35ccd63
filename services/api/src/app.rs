//! What every handler has at hand.

use std::sync::Arc;
use std::time::Duration as WaitTime;

use certfleet_acme::{NonceKeys, SpendableNonce};
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_data_kit::{Authorities, PressureGuard};
use certfleet_domain::{AuthorityName, Clock, ServerId, SystemRng, Timestamp};
use certfleet_jobs::{Job, JobKey};
use certfleet_storage::jobs::{JobFeed, JobState, Watching};
use certfleet_storage::{StorageError, Store, Switches, Vault};
use time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::limits::RateLimits;
use crate::metrics::Metrics;
use crate::routes::rest::TokenUses;
use crate::urls::ExternalUrl;

/// How often a waiting answer looks by itself.
const LOOK: WaitTime = WaitTime::from_secs(1);

/// What the ACME resources are to do, from the settings.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The authority that `/directory` answers for.
    pub default_authority: AuthorityName,
    /// The terms of service, if there are any to agree to.
    pub terms_of_service: Option<String>,
    /// A page about the authority.
    pub website: Option<String>,
    /// The names that stand for the authority in CAA records.
    pub caa_identities: Vec<String>,
    /// How long a nonce may be used.
    pub nonce_lifetime: Duration,
    /// How long an order may take to be finalized.
    pub order_lifetime: Duration,
    /// How long an authorization may take to be proven.
    pub pending_authorization_lifetime: Duration,
    /// How long an answer waits for a worker's result.
    pub answer_wait: WaitTime,
    /// What `Retry-After` says while something is processing, in seconds.
    pub retry_after: u32,
    /// What it says with renewal information, in seconds.
    pub renewal_info_retry_after: u32,
}

/// What every handler has at hand. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Its secrets; of these, the API opens keys that bind accounts.
    pub vault: Vault,
    /// What is heard of finished jobs.
    pub feed: JobFeed,
    /// The authorities, remembered for a while.
    pub authorities: Authorities,
    /// The keys nonces are minted with.
    pub nonce_keys: NonceKeys,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What keeps requests off a pool that is pressed.
    pub guard: PressureGuard,
    /// How much is let through.
    pub limits: RateLimits,
    /// What counts.
    pub metrics: Metrics,
    /// What is switched for the whole cluster.
    pub switches: watch::Receiver<Switches>,
    /// Ends what waits, when the process is told to stop.
    pub stopping: CancellationToken,
    /// Where we are reached.
    pub url: ExternalUrl,
    /// Which process this is.
    pub server: ServerId,
    /// When tokens of the REST API were used.
    pub token_uses: TokenUses,
    /// What to do.
    pub policy: Policy,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Over its parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Refuses what begins something new while there is a maintenance.
    pub fn require_no_maintenance(&self) -> Result<(), ApiError> {
        match &self.switches.borrow().maintenance {
            None => Ok(()),
            Some(maintenance) => Err(ApiError::Maintenance(maintenance.reason.clone())),
        }
    }

    /// A fresh nonce.
    pub fn mint_nonce(&self) -> String {
        self.nonce_keys.mint(self.now(), &mut SystemRng)
    }

    /// Whether a nonce is ours and fresh. Costs no database access.
    pub fn open_nonce(&self, nonce: &str) -> Result<SpendableNonce, ApiError> {
        let lifetime = self.policy.nonce_lifetime;
        self.nonce_keys
            .open(nonce, self.now(), lifetime)
            .map_err(|error| error.problem().into())
    }

    /// Starts to listen for the end of a job. Begin before the job is enqueued, and nothing can be missed.
    pub fn listen_for(&self, job: &Job) -> Awaited {
        let key = job.key();
        Awaited {
            watching: self.feed.watch(&key),
            key,
        }
    }

    /// Waits until a worker has finished the job, as long as an answer may be held back for it.
    ///
    /// Whoever calls this reads afterwards what came of the job; that the time ran out is no error.
    pub async fn await_job(
        &self,
        awaited: &Awaited,
        enqueued: Enqueued,
    ) -> Result<(), StorageError> {
        let until = Instant::now() + self.policy.answer_wait;
        let mut look = enqueued == Enqueued::Before;
        loop {
            if look && self.is_over(&awaited.key).await? {
                reach(CrashPoint::JobAwaited);
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            // The change feed is a hint: look again now and then.
            if left.is_zero() || awaited.watching.heard(left.min(LOOK)).await {
                reach(CrashPoint::JobAwaited);
                return Ok(());
            }
            look = true;
        }
    }

    async fn is_over(&self, job: &JobKey) -> Result<bool, StorageError> {
        Ok(match self.store.jobs.state(job).await? {
            None | Some(JobState::Done | JobState::Dead | JobState::Discarded) => true,
            Some(JobState::Queued | JobState::Leased) => false,
        })
    }
}

/// Somebody who waits for the end of a job.
pub struct Awaited {
    key: JobKey,
    watching: Watching,
}

/// When the job was enqueued that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// After the listening began: its end cannot have been missed.
    Now,
    /// Perhaps before that: it may be over.
    Before,
}
