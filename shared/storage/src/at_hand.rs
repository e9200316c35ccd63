//! Which KEKs this process has in hand, now.
//!
//! A KEK in memory is at hand once it was read. One in a token or at a service may be away, and another key may lie in its
//! place. So the first process that has it seals something under it, its **proof**, and every process opens that, at the start
//! and for as long as it runs.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certfleet_domain::SystemRng;
use certfleet_secrets::{KekId, OpenError, Place, Purpose, SealError, Sealed, Secret};
use tokio::time::{Instant, timeout};

use crate::collections::KEKS;
use crate::error::{CommitError, StorageError};
use crate::repositories::{Keks, proof_id};
use crate::vault::{Vault, VaultError};

/// A KEK that was at hand is not asked again sooner.
const KNOWN_FOR: Duration = Duration::from_secs(3);

/// A KEK that is due, and is not at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAtHand {
    /// Its id.
    pub kek: String,
    /// Why not.
    pub why: String,
}

impl fmt::Display for NotAtHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kek, self.why)
    }
}

/// When each KEK last was at hand. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<KekId, Instant>>>);

impl Seen {
    fn lately(&self, kek: &KekId) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(kek).is_some_and(|at| at.elapsed() < KNOWN_FOR)
    }

    fn now(&self, kek: &KekId) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(kek.clone(), Instant::now());
    }
}

impl Vault {
    /// The KEKs that are not at hand, and that seal, or that secrets can be sealed under, or that are to be the first to seal.
    /// While there are any, a service is not ready.
    ///
    /// One that needs longer than `patience` to answer is away. Nothing is written unless this process was given all of them.
    pub async fn keks_not_at_hand(
        &self,
        patience: Duration,
    ) -> Result<Vec<NotAtHand>, StorageError> {
        let mut due: BTreeSet<String> = self.keks().in_use().await?.into_iter().collect();
        let sealing = self.keks().sealing().await?;
        let seals = sealing.map_or_else(|| self.keyring().current().clone(), |sealing| sealing.kek);
        due.insert(seals.to_string());
        let held: Vec<_> = self
            .keyring()
            .ids()
            .filter(|kek| due.remove(kek.as_str()))
            .collect();
        if !due.is_empty() {
            let lacking = due.into_iter().map(|kek| NotAtHand {
                kek,
                why: "this process was not given it".to_owned(),
            });
            return Ok(lacking.collect());
        }
        let mut away = Vec::new();
        for kek in held {
            if let Some(why) = self.is_away(kek, patience).await? {
                away.push(NotAtHand {
                    kek: kek.to_string(),
                    why,
                });
            }
        }
        Ok(away)
    }

    /// The ids of the KEKs that this process has in hand, be they due or not.
    pub async fn keks_at_hand(&self, patience: Duration) -> Result<Vec<String>, StorageError> {
        let mut there = Vec::new();
        for kek in self.keyring().ids() {
            match self.is_away(kek, patience).await? {
                None => there.push(kek.to_string()),
                Some(why) => tracing::warn!(%kek, why, "a KEK that is given is not at hand"),
            }
        }
        Ok(there)
    }

    /// Why this KEK, which this process was given, is not at hand; `None` if it is.
    async fn is_away(
        &self,
        kek: &KekId,
        patience: Duration,
    ) -> Result<Option<String>, StorageError> {
        if self.seen().lately(kek) {
            return Ok(None);
        }
        let Ok(proven) = timeout(patience, self.prove(kek)).await else {
            return Ok(Some(format!(
                "no answer within {} ms",
                patience.as_millis()
            )));
        };
        match proven {
            Ok(()) => {
                self.seen().now(kek);
                Ok(None)
            }
            Err(VaultError::Storage(error)) => Err(error),
            // What it was to open or seal is the proof: of that nothing need be said.
            Err(
                VaultError::Open(OpenError::Kek { source, .. })
                | VaultError::Seal(SealError::Kek { source, .. }),
            ) => Ok(Some(source.to_string())),
            Err(other) => Ok(Some(other.to_string())),
        }
    }

    /// Opens the KEK's proof; makes it, if there is none. One that has its name of its content has nothing to prove.
    pub(crate) async fn prove(&self, kek: &KekId) -> Result<(), VaultError> {
        if self.keyring().is_named_by_content(kek) {
            return Ok(());
        }
        let place = Place::new(self.database(), KEKS, proof_id(kek), "sealed");
        loop {
            if let Some(octets) = self.keks().proof(kek).await? {
                let sealed = Sealed::from_bytes(octets).map_err(|source| VaultError::Proof {
                    kek: kek.clone(),
                    source,
                })?;
                self.keyring()
                    .open(&place, &sealed, Purpose::ProveKek)
                    .await?;
                return Ok(());
            }
            let Some(keyring) = self.keyring().sealing_under(kek) else {
                return Err(VaultError::NotAtHand(kek.clone()));
            };
            let secret = Secret::new(b"certfleet".to_vec());
            let sealed = keyring.seal(&place, &secret, &mut SystemRng).await?;
            // Opened once before it counts: one that wraps and does not unwrap is no KEK.
            keyring.open(&place, &sealed, Purpose::ProveKek).await?;
            match self.store().commit(Keks::keep_proof(kek, &sealed)).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Storage(error)) => return Err(error.into()),
                // Another process was first: its is the one to open.
                Err(CommitError::Duplicate { .. } | CommitError::Changed { .. }) => {}
            }
        }
    }
}
