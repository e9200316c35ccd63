//! Signed requests (RFC 8555 §6.2): a JWS in flattened JSON serialization, parsed strictly.
//!
//! The types keep the order of things. [`Jws`] is parsed and nothing more: it says by which key, for which URL and
//! with which nonce it claims to be signed. Only [`Jws::verify`] gives a [`Verified`], and only that has a payload.
//!
//! A server checks in this order, cheapest and least trusting first: [`Jws::require_url`], then
//! [`crate::NonceKeys::open`], then the account's key, then [`Jws::verify`], and only then spends the nonce, so that
//! a request nobody signed costs no database write.

mod binding;
mod error;
mod header;
mod key_change;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::binding::{BindingError, UnverifiedBinding, bind};
pub use self::error::JwsError;
use self::header::Header;
pub use self::key_change::KeyChange;
use crate::algorithm::Algorithm;
use crate::jwk::PublicKey;
use crate::{base64url, json};

/// The largest body of a signed request, in octets: 64 KiB. A CSR of 100 names of the greatest
/// length takes about 48 of them.
pub const MAX_BODY: usize = 64 * 1024;

/// How a request names the key that it is signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyReference {
    /// By itself: newAccount, and revocation by the certificate's key.
    Jwk(PublicKey),
    /// By its account's URL: everything else.
    Kid(String),
}

/// A signed request that was parsed and not verified.
#[derive(Debug, Clone)]
pub struct Jws {
    unverified: Unverified,
    nonce: String,
}

/// A signed request whose signature is that of the key it was verified with.
#[derive(Debug, Clone)]
pub struct Verified {
    header: Header,
    payload: Vec<u8>,
}

/// What a request and the inner JWS of a key rollover have in common.
#[derive(Debug, Clone)]
struct Unverified {
    header: Header,
    signing_input: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Jws {
    /// A request from its body.
    pub fn parse(body: &[u8]) -> Result<Self, JwsError> {
        if body.len() > MAX_BODY {
            return Err(JwsError::TooLarge);
        }
        let unverified = Unverified::parse(body)?;
        let nonce = unverified.header.nonce.clone().ok_or(JwsError::NoNonce)?;
        Ok(Self { unverified, nonce })
    }

    /// The URL it claims to be for.
    pub fn url(&self) -> &str {
        &self.unverified.header.url
    }

    /// The nonce, which is base64url; whether it is one of ours and not spent is for [`crate::NonceKeys::open`] and
    /// the database.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// How it names its key.
    pub fn key(&self) -> &KeyReference {
        &self.unverified.header.key
    }

    /// What it claims to be signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.unverified.header.algorithm
    }

    /// Whether it is for this URL, octet by octet (RFC 8555 §6.4).
    pub fn require_url(&self, due: &str) -> Result<(), JwsError> {
        if self.url() == due {
            Ok(())
        } else {
            Err(JwsError::Url {
                given: json::excerpt(self.url()),
                due: due.to_owned(),
            })
        }
    }

    /// The request, if this key signed it. Where the request has a `jwk`, that is the key to give; where it has a
    /// `kid`, it is the key of that account.
    pub fn verify(self, key: &PublicKey) -> Result<Verified, JwsError> {
        self.unverified.verify(key)
    }
}

impl Verified {
    /// The URL it was signed for.
    pub fn url(&self) -> &str {
        &self.header.url
    }

    /// How it names its key.
    pub fn key(&self) -> &KeyReference {
        &self.header.key
    }

    /// Whether the payload is empty, which makes the request a read (RFC 8555 §6.3).
    pub fn is_post_as_get(&self) -> bool {
        self.payload.is_empty()
    }

    /// Refuses a payload: for resources that can only be read.
    pub fn expect_post_as_get(&self) -> Result<(), JwsError> {
        if self.is_post_as_get() {
            Ok(())
        } else {
            Err(JwsError::NotPostAsGet)
        }
    }

    /// The payload: a JSON object without duplicate members. Members that `T` does not know are ignored.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        if self.is_post_as_get() {
            return Err(JwsError::NoPayload);
        }
        json::parse_object(&self.payload)
            .and_then(json::typed)
            .map_err(JwsError::Payload)
    }
}

impl Unverified {
    fn parse(body: &[u8]) -> Result<Self, JwsError> {
        let members = json::parse_object(body).map_err(JwsError::Body)?;
        if members.contains_key("signatures") {
            return Err(JwsError::SeveralSignatures);
        }
        if members.contains_key("header") {
            return Err(JwsError::UnprotectedHeader);
        }
        let (protected, header) = member(&members, "protected")?;
        // The header first: that a payload is not base64url is what its `b64` would say.
        let header = Header::parse(&header)?;
        let (payload_text, payload) = member(&members, "payload")?;
        let (_, signature) = member(&members, "signature")?;
        Ok(Self {
            header,
            signing_input: format!("{protected}.{payload_text}"),
            payload,
            signature,
        })
    }

    fn verify(self, key: &PublicKey) -> Result<Verified, JwsError> {
        header::require_match(self.header.algorithm, key)?;
        let message = self.signing_input.as_bytes();
        if key.verify(self.header.algorithm, message, &self.signature) {
            Ok(Verified {
                header: self.header,
                payload: self.payload,
            })
        } else {
            Err(JwsError::Signature)
        }
    }
}

/// A member of the JWS: its text and its octets.
fn member<'a>(
    members: &'a Map<String, Value>,
    member: &'static str,
) -> Result<(&'a str, Vec<u8>), JwsError> {
    let text = members
        .get(member)
        .and_then(Value::as_str)
        .ok_or(JwsError::Member(member))?;
    let octets = base64url::decode(text).map_err(|source| JwsError::Encoding { member, source })?;
    Ok((text, octets))
}
