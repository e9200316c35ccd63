//! Key rollover (RFC 8555 §7.3.5): a request signed by the old key, whose payload is a JWS signed by the new one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{JwsError, KeyReference, Unverified, Verified};
use crate::json::excerpt;
use crate::jwk::PublicKey;
use crate::signing::{SigningFailed, SigningKey};

/// A wish to change an account's key, with all that RFC 8555 §7.3.5 asks of the messages checked: the new key's
/// holder agreed, and the old key's holder means this account.
///
/// What is left is for the database: that no account has the new key. The account itself counts there too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The key that the account is to have.
    pub new_key: PublicKey,
}

/// The payload of the inner JWS.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    account: String,
    #[serde(rename = "oldKey")]
    old_key: Value,
}

impl KeyChange {
    /// The wish in a request that was verified with `account_key`, the present key of the account its `kid` names.
    pub fn parse(outer: &Verified, account_key: &PublicKey) -> Result<Self, JwsError> {
        let KeyReference::Kid(account) = outer.key() else {
            return Err(JwsError::OuterJwk);
        };
        if outer.is_post_as_get() {
            return Err(JwsError::NoPayload);
        }
        let in_inner = |error| JwsError::Inner(Box::new(error));
        let inner = Unverified::parse(&outer.payload).map_err(in_inner)?;
        let KeyReference::Jwk(new_key) = inner.header.key.clone() else {
            return Err(JwsError::InnerKid);
        };
        if inner.header.nonce.is_some() {
            return Err(JwsError::InnerNonce);
        }
        if inner.header.url != outer.url() {
            return Err(in_inner(JwsError::Url {
                given: excerpt(&inner.header.url),
                due: outer.url().to_owned(),
            }));
        }
        let inner = inner.verify(&new_key).map_err(in_inner)?;
        let payload: Payload = inner.payload().map_err(in_inner)?;
        if payload.account != *account {
            return Err(JwsError::OtherAccount);
        }
        // Only the members that make the key count, in whatever order and company they come.
        if PublicKey::from_jwk(&payload.old_key).as_ref() != Ok(account_key) {
            return Err(JwsError::OtherOldKey);
        }
        Ok(Self { new_key })
    }

    /// The payload of the outer JWS: the client's side of [`parse`](Self::parse). `url` is the directory's
    /// `keyChange`, and the outer JWS has to be for it too.
    pub fn sign(
        account: &str,
        old_key: &PublicKey,
        new_key: &SigningKey,
        url: &str,
    ) -> Result<String, SigningFailed> {
        let payload = Payload {
            account: account.to_owned(),
            old_key: old_key.to_jwk(),
        };
        let payload = json!(payload).to_string();
        new_key.sign_request(&new_key.jwk(), None, url, payload.as_bytes())
    }
}
