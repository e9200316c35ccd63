//! The protected header (RFC 8555 §6.2): what it has to have, and what it must not.

use serde_json::{Map, Value};

use super::{JwsError, KeyReference};
use crate::algorithm::Algorithm;
use crate::jwk::PublicKey;
use crate::{base64url, json};

/// What counts of a protected header. The algorithm goes with the key, where the key is there.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) nonce: Option<String>,
    pub(super) url: String,
    pub(super) key: KeyReference,
}

impl Header {
    pub(super) fn parse(text: &[u8]) -> Result<Self, JwsError> {
        let members = json::parse_object(text).map_err(JwsError::Header)?;
        // First what changes how the rest is to be read. `b64` has to be among `crit`, and says more.
        if members.get("b64").is_some_and(|b64| b64 != true) {
            return Err(JwsError::UnencodedPayload);
        }
        if members.contains_key("crit") {
            return Err(JwsError::Critical);
        }
        let algorithm = algorithm(&members)?;
        let key = key(&members)?;
        if let KeyReference::Jwk(key) = &key {
            require_match(algorithm, key)?;
        }
        Ok(Self {
            algorithm,
            nonce: nonce(&members)?,
            url: parameter(&members, "url")?
                .ok_or(JwsError::NoUrl)?
                .to_owned(),
            key,
        })
    }
}

/// RFC 8555 §6.2: the algorithm has to be the one that goes with the key.
pub(super) fn require_match(algorithm: Algorithm, key: &PublicKey) -> Result<(), JwsError> {
    if algorithm.key_kind() == key.kind() {
        Ok(())
    } else {
        Err(JwsError::AlgorithmMismatch {
            algorithm,
            key: key.kind().name(),
            due: key.kind().algorithm(),
        })
    }
}

fn algorithm(members: &Map<String, Value>) -> Result<Algorithm, JwsError> {
    let name = parameter(members, "alg")?.ok_or(JwsError::NoAlgorithm)?;
    Algorithm::from_name(name).ok_or_else(|| match name {
        _ if name.eq_ignore_ascii_case("none") => JwsError::Unsigned,
        "HS256" | "HS384" | "HS512" => JwsError::Mac(name.to_owned()),
        _ => JwsError::UnsupportedAlgorithm(json::excerpt(name)),
    })
}

fn key(members: &Map<String, Value>) -> Result<KeyReference, JwsError> {
    match (members.get("jwk"), parameter(members, "kid")?) {
        (Some(_), Some(_)) => Err(JwsError::TwoKeys),
        (None, None) => Err(JwsError::NoKey),
        (None, Some(kid)) => Ok(KeyReference::Kid(kid.to_owned())),
        (Some(jwk), None) => PublicKey::from_jwk(jwk)
            .map(KeyReference::Jwk)
            .map_err(JwsError::PublicKey),
    }
}

fn nonce(members: &Map<String, Value>) -> Result<Option<String>, JwsError> {
    let nonce = parameter(members, "nonce")?;
    if let Some(text) = nonce {
        // RFC 8555 §6.5.2: a nonce that is not base64url makes the JWS malformed.
        base64url::decode(text).map_err(JwsError::Nonce)?;
    }
    Ok(nonce.map(ToOwned::to_owned))
}

fn parameter<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JwsError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwsError::Parameter(name)),
    }
}
