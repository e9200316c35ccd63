//! A request to spoil.

use serde_json::{Value, json};

use super::{NONCE, URL};
use crate::jws::{Jws, JwsError};
use crate::signing::SigningKey;

/// A request that is in order but for what a case changes.
pub(super) struct Request {
    pub(super) key: SigningKey,
}

impl Request {
    pub(super) fn generate() -> Self {
        Self {
            key: SigningKey::generate_p256().unwrap(),
        }
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": "ES256", "nonce": NONCE, "url": URL, "jwk": self.key.public().to_jwk() })
    }

    pub(super) fn signed(&self, header: &str) -> String {
        self.key.sign_flattened(header, b"{}").unwrap()
    }

    /// With a header parameter set, or, by null, left out.
    pub(super) fn with(&self, changes: &[(&str, Value)]) -> String {
        let mut header = self.header();
        for (name, value) in changes {
            header[name] = value.clone();
        }
        header
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        self.signed(&header.to_string())
    }

    /// With a member of the JWS set or left out.
    pub(super) fn with_member(&self, name: &str, value: Value) -> String {
        let mut body: Value = serde_json::from_str(&self.with(&[])).unwrap();
        body[name] = value;
        body.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        body.to_string()
    }

    pub(super) fn with_alg(&self, alg: &str) -> String {
        self.with(&[("alg", alg.into())])
    }

    pub(super) fn compact(&self) -> String {
        let body: Value = serde_json::from_str(&self.with(&[])).unwrap();
        let part = |name: &str| body[name].as_str().unwrap().to_owned();
        [part("protected"), part("payload"), part("signature")].join(".")
    }
}

/// Why the request is refused, on the way from parsing to the signature.
pub(super) fn refusal(request: &Request, body: &str) -> JwsError {
    Jws::parse(body.as_bytes())
        .and_then(|jws| {
            jws.require_url(URL)?;
            jws.verify(request.key.public())
        })
        .map(|_| ())
        .expect_err(body)
}
