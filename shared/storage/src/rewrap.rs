//! Sealing anew what is under another KEK than the one that seals.
//!
//! While a KEK is retiring, its secrets are searched for among all of them: there is no cursor that could be lost, and no
//! matter who does it, or how often. A secret is stored in place of the very bytes that were read, so that of two that seal it
//! anew one does, and one that stood still meanwhile does nothing. A search that finds nothing under a retiring KEK is the
//! last for it.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::SystemRng;
use certfleet_secrets::{Keyring, Purpose, Sealed};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use crate::error::StorageError;
use crate::repositories::{Reseal, Retiring, StoredSecret};
use crate::vault::{Vault, VaultError};

/// So many secrets are stored with one transaction.
const BATCH: usize = 1024;
/// So many batches are under way at once.
const AT_ONCE: usize = 2;
/// So many secrets of a batch are with the KEK at once: one in a token or at a service takes its time for each.
const ASKED_AT_ONCE: usize = 16;

/// What was sealed anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrapped {
    /// So many were.
    pub sealed: u64,
    /// Secrets that do not open, and so could not be, with why.
    pub left: Vec<(String, String)>,
}

/// What one search found.
struct Found {
    rewrapped: Rewrapped,
    /// The KEKs that something was under.
    keks: HashSet<String>,
}

impl Vault {
    /// Seals anew what is under another KEK than the one that seals, until nothing is left or it is `until`.
    ///
    /// # Errors
    /// If the database is in trouble, or the KEK that seals is not at hand. A secret that does not open is no error: the
    /// others go on.
    pub async fn rewrap(&self, until: Instant) -> Result<Rewrapped, VaultError> {
        let mut all = Rewrapped::default();
        loop {
            // Before the search, so that nothing comes under them that it misses.
            let retiring = self.keks().retiring().await?;
            if retiring.is_empty() {
                return Ok(all);
            }
            let found = self.search(until).await?;
            let is_whole = Instant::now() < until;
            let in_vain = found.rewrapped.sealed == 0;
            all.sealed += found.rewrapped.sealed;
            all.left = found.rewrapped.left;
            if is_whole {
                self.retire(&retiring, &found.keks).await?;
            }
            if in_vain || !is_whole {
                return Ok(all);
            }
        }
    }

    /// Writes down which of these were not found.
    async fn retire(
        &self,
        retiring: &[Retiring],
        found: &HashSet<String>,
    ) -> Result<(), StorageError> {
        for kek in retiring.iter().filter(|kek| !found.contains(&kek.kek)) {
            self.keks().emptied(kek).await?;
            tracing::info!(kek = kek.kek, "nothing is left under this KEK");
        }
        Ok(())
    }

    /// Seals anew what one search finds.
    async fn search(&self, until: Instant) -> Result<Found, VaultError> {
        let keyring = self.sealing_keyring().await?;
        let others = self.secrets().under_others(keyring.current()).await?;
        let sealed = AtomicU64::new(0);
        let left = Mutex::new(Vec::new());
        let mut keks = HashSet::new();
        let note = |secret: &StoredSecret| {
            if !keks.contains(&secret.kek) {
                keks.insert(secret.kek.clone());
            }
        };
        others
            .inspect_ok(note)
            .try_chunks(BATCH)
            .map_err(|error| VaultError::Storage(error.1))
            .enumerate()
            // The first is never too late: a search may take longer than a run.
            .take_while(|(at, _)| std::future::ready(*at == 0 || Instant::now() < until))
            .map(|(_, batch)| batch)
            .try_for_each_concurrent(AT_ONCE, async |batch| {
                let mut changes = Vec::with_capacity(batch.len());
                let asked = stream::iter(batch)
                    .map(|before| async { (self.anew(&keyring, &before).await, before) })
                    .buffer_unordered(ASKED_AT_ONCE);
                let mut asked = pin!(asked);
                while let Some((answer, before)) = asked.next().await {
                    match answer {
                        Ok(after) => changes.push(Reseal { before, after }),
                        Err(why) => left
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((before.name, why)),
                    }
                }
                if changes.is_empty() {
                    return Ok(());
                }
                reach(CrashPoint::SecretsResealed);
                let done = self.secrets().reseal(&changes).await?;
                reach(CrashPoint::ResealedStored);
                sealed.fetch_add(done, Ordering::Relaxed);
                Ok::<_, VaultError>(())
            })
            .await?;
        Ok(Found {
            rewrapped: Rewrapped {
                sealed: sealed.into_inner(),
                left: left.into_inner().unwrap_or_else(PoisonError::into_inner),
            },
            keks,
        })
    }

    /// Opens a secret, and seals it under the keyring's current KEK.
    async fn anew(&self, keyring: &Keyring, before: &StoredSecret) -> Result<Sealed, String> {
        let place = self.place(&before.name);
        let sealed = Sealed::from_bytes(before.sealed.clone()).map_err(|why| why.to_string())?;
        let secret = keyring
            .open(&place, &sealed, Purpose::Rewrap)
            .await
            .map_err(|why| why.to_string())?;
        let sealing = keyring.seal(&place, &secret, &mut SystemRng);
        sealing.await.map_err(|why| why.to_string())
    }
}
