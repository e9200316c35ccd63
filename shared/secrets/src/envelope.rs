//! One record under its own data key.
//!
//! From the 32 random bytes of the data key, HKDF-SHA256 (RFC 5869, salt `certfleet sealed v1`) makes
//! the encryption key (info `encrypt`) and the commitment (info `commit`, then the context). The
//! commitment is compared in constant time before anything is decrypted: AES-GCM alone would let one
//! ciphertext open under two keys.
//!
//! The context is the associated data of the ciphertext and of the wrapped data key: the format
//! version as one byte, then the KEK id, database, collection, id and field, each after its length in
//! 4 bytes, big endian. Lengths first, so that no two places read alike.
//!
//! # A known answer
//!
//! The KEK is the bytes `00..1f`, so its id is `7971bca8f4b7c412`; the place is
//! `certfleet.issuers[0190].key`; the data key, the wrapping nonce and the nonce are the bytes `20..3f`,
//! `40..4b` and `4c..57`; the secret is `attack at dawn`. What it is then stands in `docs`, and a test reads it there.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use rand::RngCore;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::kek::KekId;
use crate::place::Place;
use crate::sealed::{COMMITMENT, NONCE, TAG, VERSION};
use crate::secret::Secret;

/// The key of one record, in clear. Lives only while the record is sealed or opened.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

/// Why a record did not open under its data key.
pub(crate) enum Refusal {
    NotCommitted,
    Changed,
}

impl DataKey {
    /// A new key.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key that a provider has unwrapped; `None` if there are not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes, for a provider to wrap.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The ciphertext with its tag, and the commitment.
    pub(crate) fn encrypt(
        &self,
        context: &[u8],
        nonce: [u8; NONCE],
        secret: &Secret,
    ) -> Result<(Vec<u8>, [u8; COMMITMENT]), Unspecified> {
        let derived = self.derive();
        let mut buffer = Vec::with_capacity(secret.expose().len() + TAG);
        buffer.extend_from_slice(secret.expose());
        derived.cipher()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            &mut buffer,
        )?;
        Ok((buffer, derived.commitment(context)?))
    }

    /// The secret, if key, context and ciphertext belong together.
    pub(crate) fn decrypt(
        &self,
        context: &[u8],
        nonce: [u8; NONCE],
        commitment: &[u8; COMMITMENT],
        ciphertext: &[u8],
    ) -> Result<Secret, Refusal> {
        let derived = self.derive();
        let expected = derived
            .commitment(context)
            .map_err(|_| Refusal::NotCommitted)?;
        if !bool::from(expected.ct_eq(commitment)) {
            return Err(Refusal::NotCommitted);
        }
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = derived
            .cipher()
            .and_then(|cipher| {
                cipher
                    .open_in_place(
                        Nonce::assume_unique_for_key(nonce),
                        Aad::from(context),
                        &mut buffer,
                    )
                    .map(|plaintext| plaintext.len())
            })
            .map_err(|_| Refusal::Changed)?;
        buffer.truncate(length);
        Ok(buffer.into())
    }

    fn derive(&self) -> Derived {
        Derived(Salt::new(HKDF_SHA256, b"certfleet sealed v1").extract(&self.0))
    }
}

struct Derived(Prk);

impl Derived {
    fn cipher(&self) -> Result<LessSafeKey, Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        self.0
            .expand(&[b"encrypt"], HKDF_SHA256)?
            .fill(key.as_mut())?;
        UnboundKey::new(&AES_256_GCM, key.as_ref()).map(LessSafeKey::new)
    }

    fn commitment(&self, context: &[u8]) -> Result<[u8; COMMITMENT], Unspecified> {
        let mut commitment = [0; COMMITMENT];
        self.0
            .expand(&[b"commit", context], HKDF_SHA256)?
            .fill(&mut commitment)?;
        Ok(commitment)
    }
}

/// What the wrapped key and the ciphertext are both bound to.
pub(crate) fn context(kek: &KekId, place: &Place) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for part in [
        kek.as_str(),
        &place.database,
        &place.collection,
        &place.id,
        &place.field,
    ] {
        // A name of 4 GiB cannot be had; were there one, its record would only not open.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}
