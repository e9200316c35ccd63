//! External account binding (RFC 8555 §7.3.4): in a newAccount request, a second JWS over the account's key, made with a MAC key
//! that the client got from the authority's administrator by another way.

use aws_lc_rs::hmac;
use certfleet_domain::{Problem, ProblemKind};
use serde_json::{Map, Value, json};

use super::{JwsError, member};
use crate::jwk::PublicKey;
use crate::{base64url, json};

/// Why a binding is refused. Its text is the `detail` of the problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// It is not one flattened JWS.
    #[error("\"externalAccountBinding\" is not a JWS in flattened JSON serialization: {0}")]
    Form(String),
    /// Its header is not what it has to be.
    #[error(
        "the protected header of \"externalAccountBinding\" cannot be used: {0} (RFC 8555 §7.3.4)"
    )]
    Header(String),
    /// Another algorithm than a MAC.
    #[error(
        "the algorithm {0:?} is not accepted in \"externalAccountBinding\": HS256, HS384 or HS512 is due (RFC 8555 §7.3.4)"
    )]
    Algorithm(String),
    /// It was made for another URL.
    #[error(
        "\"externalAccountBinding\" was made for the URL {given:?}, and the request was sent to {due:?} (RFC 8555 §7.3.4)"
    )]
    Url {
        /// The URL it was made for.
        given: String,
        /// The URL of the request.
        due: String,
    },
    /// It binds another key than the one that signed the request.
    #[error(
        "the payload of \"externalAccountBinding\" is not the account's key as in the request's \"jwk\" (RFC 8555 §7.3.4)"
    )]
    OtherKey,
    /// The MAC is another key's.
    #[error("the MAC of \"externalAccountBinding\" does not verify with the key of this \"kid\"")]
    Mac,
}

impl BindingError {
    /// The problem to tell the client.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            Self::Form(_) | Self::Header(_) | Self::OtherKey => ProblemKind::Malformed,
            Self::Algorithm(_) => ProblemKind::BadSignatureAlgorithm,
            Self::Url { .. } | Self::Mac => ProblemKind::Unauthorized,
        };
        Problem::new(kind, self.to_string())
    }
}

/// A binding whose MAC is still to be verified: until then it says nothing but which key it claims.
#[derive(Debug, Clone)]
pub struct UnverifiedBinding {
    algorithm: MacAlgorithm,
    kid: String,
    signing_input: String,
    mac: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MacAlgorithm {
    Hs256,
    Hs384,
    Hs512,
}

impl MacAlgorithm {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "HS384" => Some(Self::Hs384),
            "HS512" => Some(Self::Hs512),
            _ => None,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Hs256 => hmac::HMAC_SHA256,
            Self::Hs384 => hmac::HMAC_SHA384,
            Self::Hs512 => hmac::HMAC_SHA512,
        }
    }
}

impl UnverifiedBinding {
    /// The binding in a request for a new account that was sent to `url` and signed with `account_key`.
    ///
    /// # Errors
    /// All but the MAC: the form, the header (which has `alg`, `kid` and `url`, and no nonce), the URL, the key that is bound.
    pub fn parse(value: &Value, url: &str, account_key: &PublicKey) -> Result<Self, BindingError> {
        let members = value
            .as_object()
            .ok_or_else(|| BindingError::Form("an object is due".to_owned()))?;
        if members.contains_key("signatures") || members.contains_key("header") {
            let why = "exactly one signature and no unprotected header are due".to_owned();
            return Err(BindingError::Form(why));
        }
        let form = |error: JwsError| BindingError::Form(error.to_string());
        let (protected, header) = member(members, "protected").map_err(form)?;
        let (payload_text, payload) = member(members, "payload").map_err(form)?;
        let (_, mac) = member(members, "signature").map_err(form)?;
        let header = json::parse_object(&header).map_err(BindingError::Header)?;
        let (algorithm, kid) = read_header(&header, url)?;
        let bound = json::parse_object(&payload)
            .ok()
            .and_then(|jwk| PublicKey::from_jwk(&Value::Object(jwk)).ok());
        if bound.as_ref() != Some(account_key) {
            return Err(BindingError::OtherKey);
        }
        Ok(Self {
            algorithm,
            kid,
            signing_input: format!("{protected}.{payload_text}"),
            mac,
        })
    }

    /// The key that it claims to be made with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether it was made with this key. Takes the same time for every MAC of the right length.
    ///
    /// # Errors
    /// It was not.
    pub fn verify(&self, key: &[u8]) -> Result<(), BindingError> {
        let key = hmac::Key::new(self.algorithm.hmac(), key);
        hmac::verify(&key, self.signing_input.as_bytes(), &self.mac).map_err(|_| BindingError::Mac)
    }
}

fn read_header(
    header: &Map<String, Value>,
    url: &str,
) -> Result<(MacAlgorithm, String), BindingError> {
    let refuse = |why: &str| Err(BindingError::Header(why.to_owned()));
    let text = |name| header.get(name).and_then(Value::as_str);
    if header.contains_key("crit") || header.contains_key("b64") {
        return refuse("no critical extension is supported");
    }
    if header.contains_key("nonce") {
        return refuse("it must not have a \"nonce\"");
    }
    if header.contains_key("jwk") {
        return refuse("it names its key by \"kid\", and must not have a \"jwk\"");
    }
    let Some(name) = text("alg") else {
        return refuse("it has no \"alg\"");
    };
    let algorithm = MacAlgorithm::from_name(name)
        .ok_or_else(|| BindingError::Algorithm(json::excerpt(name)))?;
    let Some(kid) = text("kid") else {
        return refuse("it has no \"kid\"");
    };
    match text("url") {
        None => refuse("it has no \"url\""),
        Some(given) if given != url => Err(BindingError::Url {
            given: json::excerpt(given),
            due: url.to_owned(),
        }),
        Some(_) => Ok((algorithm, kid.to_owned())),
    }
}

/// A binding of `account_key`, made with HS256: the client's side. `url` is the directory's `newAccount`.
pub fn bind(kid: &str, key: &[u8], account_key: &PublicKey, url: &str) -> Value {
    let header = json!({ "alg": "HS256", "kid": kid, "url": url }).to_string();
    let protected = base64url::encode(header.as_bytes());
    let payload = base64url::encode(account_key.canonical().as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mac = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
    let signature = base64url::encode(mac.as_ref());
    json!({ "protected": protected, "payload": payload, "signature": signature })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKey;

    const URL: &str = "https://ca.example/acme/default/new-account";
    const MAC_KEY: &[u8] = b"a key that both sides know";

    fn account_key() -> SigningKey {
        SigningKey::generate(crate::Algorithm::Es256).unwrap()
    }

    /// A binding with this header in place of the right one, and a MAC that fits.
    fn with_header(header: &Value, payload: &str, algorithm: hmac::Algorithm) -> Value {
        let protected = base64url::encode(header.to_string().as_bytes());
        let payload = base64url::encode(payload.as_bytes());
        let key = hmac::Key::new(algorithm, MAC_KEY);
        let mac = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
        json!({ "protected": protected, "payload": payload, "signature": base64url::encode(mac.as_ref()) })
    }

    #[test]
    fn what_is_bound_verifies_with_its_key_and_no_other() {
        let key = account_key();
        let binding = bind("kid", MAC_KEY, key.public(), URL);
        let parsed = UnverifiedBinding::parse(&binding, URL, key.public()).unwrap();
        assert_eq!(parsed.kid(), "kid");
        assert_eq!(parsed.verify(MAC_KEY), Ok(()));
        assert_eq!(parsed.verify(b"another"), Err(BindingError::Mac));
        for (name, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let header = json!({ "alg": name, "kid": "kid", "url": URL });
            let binding = with_header(&header, key.public().canonical(), algorithm);
            let parsed = UnverifiedBinding::parse(&binding, URL, key.public()).unwrap();
            assert_eq!(parsed.verify(MAC_KEY), Ok(()), "{name}");
        }
    }

    #[test]
    fn every_changed_octet_is_found() {
        let key = account_key();
        let binding = bind("kid", MAC_KEY, key.public(), URL);
        for name in ["protected", "payload", "signature"] {
            let octets = base64url::decode(binding[name].as_str().unwrap()).unwrap();
            for index in 0..octets.len() {
                let mut changed = octets.clone();
                changed[index] ^= 1;
                let mut binding = binding.clone();
                binding[name] = json!(base64url::encode(&changed));
                let verified = UnverifiedBinding::parse(&binding, URL, key.public())
                    .and_then(|parsed| parsed.verify(MAC_KEY));
                assert!(verified.is_err(), "{name}, octet {index}");
            }
        }
    }

    #[test]
    fn what_the_rfc_does_not_allow_is_refused_with_a_reason() {
        let key = account_key();
        let jwk = key.public().canonical();
        let refusal = |header: Value, payload: &str| {
            let binding = with_header(&header, payload, hmac::HMAC_SHA256);
            let problem = UnverifiedBinding::parse(&binding, URL, key.public())
                .unwrap_err()
                .problem();
            (problem.kind, problem.detail)
        };
        let cases = [
            (json!({ "kid": "k", "url": URL }), "no \"alg\""),
            (json!({ "alg": "HS256", "url": URL }), "no \"kid\""),
            (
                json!({ "alg": "HS256", "kid": 1, "url": URL }),
                "no \"kid\"",
            ),
            (json!({ "alg": "HS256", "kid": "k" }), "no \"url\""),
            (
                json!({ "alg": "HS256", "kid": "k", "url": URL, "nonce": "AA" }),
                "nonce",
            ),
            (
                json!({ "alg": "HS256", "kid": "k", "url": URL, "jwk": {} }),
                "jwk",
            ),
            (
                json!({ "alg": "HS256", "kid": "k", "url": URL, "crit": ["b64"] }),
                "critical",
            ),
        ];
        for (header, why) in cases {
            let (kind, detail) = refusal(header, jwk);
            assert_eq!(kind, ProblemKind::Malformed, "{detail}");
            assert!(detail.contains(why), "{detail}");
        }
        for name in ["none", "ES256", "HS1"] {
            let (kind, _) = refusal(json!({ "alg": name, "kid": "k", "url": URL }), jwk);
            assert_eq!(kind, ProblemKind::BadSignatureAlgorithm, "{name}");
        }
        let elsewhere = json!({ "alg": "HS256", "kid": "k", "url": "https://ca.example/other" });
        assert_eq!(refusal(elsewhere, jwk).0, ProblemKind::Unauthorized);
        let header = json!({ "alg": "HS256", "kid": "k", "url": URL });
        let other = account_key();
        for payload in [other.public().canonical(), "{}", "", "[]"] {
            let (kind, detail) = refusal(header.clone(), payload);
            assert_eq!(kind, ProblemKind::Malformed, "{detail}");
            assert!(detail.contains("not the account's key"), "{detail}");
        }
        for form in [
            json!(null),
            json!("text"),
            json!([]),
            json!({}),
            json!({ "signatures": [] }),
        ] {
            let refused = UnverifiedBinding::parse(&form, URL, key.public()).unwrap_err();
            assert!(matches!(refused, BindingError::Form(_)), "{refused}");
        }
    }
}
