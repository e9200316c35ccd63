//! The KEKs that a process holds.

use std::future::Future;
use std::sync::Arc;

use rand::RngCore;

use crate::envelope::{DataKey, Refusal, context};
use crate::error::{OpenError, SealError};
use crate::kek::{KekId, KekProvider, WrapNonce};
use crate::place::Place;
use crate::purpose::Purpose;
use crate::sealed::{NONCE, Parts, Sealed};
use crate::secret::Secret;

/// The KEKs that a process holds: the current one seals, and all of them open, so that two versions
/// live side by side while secrets are moved from one to the other.
#[derive(Clone)]
pub struct Keyring {
    current: Arc<dyn KekProvider>,
    previous: Vec<Arc<dyn KekProvider>>,
}

/// Two KEKs go by one name, so that a record could not tell which one it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("KEK {0} is given twice")]
pub struct DuplicateKek(pub KekId);

impl Keyring {
    /// A keyring that seals under `current` and opens under `previous` as well.
    pub fn new(
        current: Arc<dyn KekProvider>,
        previous: Vec<Arc<dyn KekProvider>>,
    ) -> Result<Self, DuplicateKek> {
        let ring = Self { current, previous };
        let mut ids: Vec<_> = ring.ids().collect();
        ids.sort();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(DuplicateKek(pair[0].clone())),
            None => Ok(ring),
        }
    }

    /// The KEK that seals.
    pub fn current(&self) -> &KekId {
        self.current.id()
    }

    /// All KEKs, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = &KekId> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .map(|kek| kek.id())
    }

    /// Whether records sealed under this KEK can be opened.
    pub fn holds(&self, id: &KekId) -> bool {
        self.ids().any(|held| held == id)
    }

    /// The same KEKs, of which this one seals; `None` if it is not among them.
    pub fn sealing_under(&self, id: &KekId) -> Option<Self> {
        let mut others: Vec<_> = std::iter::once(&self.current)
            .chain(&self.previous)
            .cloned()
            .collect();
        let place = others.iter().position(|kek| kek.id() == id)?;
        Some(Self {
            current: others.remove(place),
            previous: others,
        })
    }

    /// Seals a secret for its place, under a new data key and the current KEK.
    ///
    /// All chance is drawn before this returns; the future needs none, and may wait for a remote KEK.
    pub fn seal<'a>(
        &'a self,
        place: &'a Place,
        secret: &'a Secret,
        rng: &mut dyn RngCore,
    ) -> impl Future<Output = Result<Sealed, SealError>> + Send + use<'a> {
        let key = DataKey::generate(rng);
        let wrap_nonce = random(rng);
        let nonce = random(rng);
        self.seal_with(place, secret, key, wrap_nonce, nonce)
    }

    async fn seal_with(
        &self,
        place: &Place,
        secret: &Secret,
        key: DataKey,
        wrap_nonce: [u8; NONCE],
        nonce: [u8; NONCE],
    ) -> Result<Sealed, SealError> {
        let kek = self.current.id();
        let context = context(kek, place);
        let wrapped_key = self
            .current
            .wrap(&key, &context, WrapNonce(wrap_nonce))
            .await
            .map_err(|source| SealError::Kek {
                place: Box::new(place.clone()),
                kek: kek.clone(),
                source,
            })?;
        let too_large = || SealError::TooLarge {
            place: Box::new(place.clone()),
        };
        let (ciphertext, commitment) = key
            .encrypt(&context, nonce, secret)
            .map_err(|_| too_large())?;
        let parts = Parts {
            wrapped_key: &wrapped_key,
            nonce,
            commitment,
            ciphertext: &ciphertext,
        };
        Sealed::assemble(kek, &parts).ok_or_else(too_large)
    }

    /// Opens what was sealed for this place.
    pub async fn open(
        &self,
        place: &Place,
        sealed: &Sealed,
        purpose: Purpose,
    ) -> Result<Secret, OpenError> {
        let opened = self.open_under(place, sealed).await;
        let (kek, ok) = (sealed.kek(), opened.is_ok());
        tracing::debug!(%purpose, %place, %kek, ok, "secret opened");
        opened
    }

    async fn open_under(&self, place: &Place, sealed: &Sealed) -> Result<Secret, OpenError> {
        let changed = || OpenError::Changed {
            place: Box::new(place.clone()),
        };
        let provider = self
            .provider(sealed.kek())
            .ok_or_else(|| OpenError::MissingKek {
                place: Box::new(place.clone()),
                kek: sealed.kek().clone(),
            })?;
        let parts = sealed.parts().map_err(|_| changed())?;
        let context = context(sealed.kek(), place);
        let key = provider
            .unwrap(parts.wrapped_key, &context)
            .await
            .map_err(|source| OpenError::Kek {
                place: Box::new(place.clone()),
                kek: sealed.kek().clone(),
                source,
            })?;
        key.decrypt(&context, parts.nonce, &parts.commitment, parts.ciphertext)
            .map_err(|refusal| match refusal {
                Refusal::NotCommitted => OpenError::NotCommitted {
                    place: Box::new(place.clone()),
                },
                Refusal::Changed => changed(),
            })
    }

    /// Whether the KEK of this id has it of its own content; see [`KekProvider::is_named_by_content`].
    pub fn is_named_by_content(&self, id: &KekId) -> bool {
        self.provider(id)
            .is_some_and(KekProvider::is_named_by_content)
    }

    fn provider(&self, id: &KekId) -> Option<&dyn KekProvider> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|kek| kek.id() == id)
            .map(AsRef::as_ref)
    }
}

fn random(rng: &mut dyn RngCore) -> [u8; NONCE] {
    let mut bytes = [0; NONCE];
    rng.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
