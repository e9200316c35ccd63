//! A KEK that stays in a token: an AES-256 key.

use std::sync::Arc;

use certfleet_domain::Pkcs11Uri;
use certfleet_secrets::{
    DataKey, InvalidKekId, KekError, KekFuture, KekId, KekProvider, WrapNonce,
};
use zeroize::Zeroizing;

use crate::access::TokenAccess;
use crate::error::TokenError;
use crate::key::{KeyKind, TokenKey};

/// A KEK in a token. A data key that it has wrapped is laid out like a local KEK's: nonce, ciphertext, tag.
pub struct TokenKek {
    id: KekId,
    key: Arc<TokenKey>,
}

impl TokenKek {
    /// The KEK of this name. Whether it is there shows when it is used.
    ///
    /// # Errors
    /// The labels of token and object, which are its id, have characters that an id cannot have.
    pub fn new(access: &TokenAccess, uri: &Pkcs11Uri) -> Result<Self, InvalidKekId> {
        Ok(Self {
            id: format!("pkcs11:{}/{}", uri.token(), uri.object()).parse()?,
            key: Arc::new(access.key(uri, KeyKind::Secret)),
        })
    }
}

impl KekProvider for TokenKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    fn wrap<'a>(
        &'a self,
        data_key: &'a DataKey,
        context: &'a [u8],
        nonce: WrapNonce,
    ) -> KekFuture<'a, Vec<u8>> {
        let plain = Zeroizing::new(*data_key.expose());
        let aad = context.to_vec();
        Box::pin(self.ask(move |key| {
            let nonce = nonce.bytes();
            let encrypted = key.encrypt(nonce, &aad, plain.as_slice())?;
            Ok([&nonce[..], &encrypted].concat())
        }))
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KekFuture<'a, DataKey> {
        let parts = wrapped.split_first_chunk();
        let parts = parts.map(|(nonce, encrypted)| (*nonce, encrypted.to_vec()));
        let aad = context.to_vec();
        Box::pin(async move {
            let (nonce, encrypted) = parts.ok_or(KekError::Refused)?;
            let plain = self
                .ask(move |key| Ok(Zeroizing::new(key.decrypt(nonce, &aad, &encrypted)?)))
                .await?;
            DataKey::from_bytes(&plain).ok_or(KekError::Refused)
        })
    }
}

impl TokenKek {
    /// Asks the token, where blocking is allowed.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&TokenKey) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, KekError> {
        let key = Arc::clone(&self.key);
        let asked = tokio::task::spawn_blocking(move || question(&key)).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(TokenError::Refused(why))) => {
                tracing::debug!(kek = %self.id, why, "refused");
                Err(KekError::Refused)
            }
            Ok(Err(TokenError::Unavailable(why))) => Err(KekError::Unavailable(why)),
            Err(_) => Err(KekError::Unavailable("this process ends".to_owned())),
        }
    }
}
