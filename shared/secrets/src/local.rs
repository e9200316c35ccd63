//! A KEK held in memory: 32 bytes, AES-256-GCM.

use std::future::ready;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::error::Unspecified;
use zeroize::Zeroizing;

use crate::envelope::DataKey;
use crate::kek::{KekError, KekFuture, KekId, KekProvider, WrapNonce};
use crate::sealed::{NONCE, TAG};

/// A KEK in this process's memory, named by its fingerprint: the first 8 bytes, in hex, of SHA-256(`certfleet-kek` || key).
///
/// Wrapping nonces are random, so one KEK should wrap no more than 2^32 data keys in its life.
pub struct LocalKek {
    id: KekId,
    cipher: LessSafeKey,
}

impl LocalKek {
    /// This key.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "a key of 32 bytes is the only requirement of AES-256"
    )]
    pub fn new(key: &[u8; 32]) -> Self {
        let cipher = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes any 32 bytes");
        Self {
            id: fingerprint(key),
            cipher: LessSafeKey::new(cipher),
        }
    }

    /// Another key under the name of one.
    #[cfg(test)]
    pub(crate) fn under_name(id: KekId, key: &[u8; 32]) -> Self {
        Self {
            id,
            ..Self::new(key)
        }
    }

    fn encrypt(
        &self,
        key: &DataKey,
        context: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, Unspecified> {
        let mut buffer = Zeroizing::new(*key.expose());
        let tag = self.cipher.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            buffer.as_mut(),
        )?;
        Ok([&nonce, buffer.as_ref(), tag.as_ref()].concat())
    }

    fn decrypt(&self, wrapped: &[u8], context: &[u8]) -> Option<DataKey> {
        let (nonce, rest) = wrapped.split_first_chunk::<NONCE>()?;
        if rest.len() != 32 + TAG {
            return None;
        }
        let mut buffer = Zeroizing::new(rest.to_vec());
        let key = self
            .cipher
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(context),
                &mut buffer,
            )
            .ok()?;
        DataKey::from_bytes(key)
    }
}

impl KekProvider for LocalKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    fn is_named_by_content(&self) -> bool {
        true
    }

    fn wrap<'a>(
        &'a self,
        data_key: &'a DataKey,
        context: &'a [u8],
        nonce: WrapNonce,
    ) -> KekFuture<'a, Vec<u8>> {
        let wrapped = self.encrypt(data_key, context, nonce.bytes());
        Box::pin(ready(wrapped.map_err(|_| KekError::Refused)))
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KekFuture<'a, DataKey> {
        Box::pin(ready(
            self.decrypt(wrapped, context).ok_or(KekError::Refused),
        ))
    }
}

#[expect(clippy::expect_used, reason = "16 hexadecimal digits are a KEK id")]
fn fingerprint(key: &[u8; 32]) -> KekId {
    let mut digest = Context::new(&SHA256);
    digest.update(b"certfleet-kek");
    digest.update(key);
    let digest = digest.finish();
    hex::encode(&digest.as_ref()[..8])
        .parse()
        .expect("hex digits are allowed in a KEK id")
}
