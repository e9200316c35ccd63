//! Key rollover: what it takes, and each of its checks.

use certfleet_domain::ProblemKind;
use serde_json::{Value, json};

use super::{KID, NONCE, kid};
use crate::algorithm::Algorithm;
use crate::jws::{Jws, JwsError, KeyChange, KeyReference, Verified};
use crate::signing::SigningKey;

const URL: &str = "https://ca.example/acme/key-change";

struct Keys {
    old: SigningKey,
    new: SigningKey,
}

impl Keys {
    fn generate() -> Self {
        let new = SigningKey::generate(Algorithm::EdDsa).unwrap();
        Self {
            old: SigningKey::generate_p256().unwrap(),
            new,
        }
    }

    fn outer(&self, by: &KeyReference, payload: &str) -> Verified {
        let body = self
            .old
            .sign_request(by, Some(NONCE), URL, payload.as_bytes())
            .unwrap();
        let jws = Jws::parse(body.as_bytes()).unwrap();
        jws.verify(self.old.public()).unwrap()
    }

    fn payload(&self) -> Value {
        json!({ "account": KID, "oldKey": self.old.public().to_jwk() })
    }

    fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "url": URL, "jwk": self.new.public().to_jwk() })
    }

    /// What comes of an inner JWS with this header and this payload.
    fn change(&self, header: &Value, payload: &Value) -> Result<KeyChange, JwsError> {
        let inner = self
            .new
            .sign_flattened(&header.to_string(), payload.to_string().as_bytes());
        KeyChange::parse(&self.outer(&kid(), &inner.unwrap()), self.old.public())
    }
}

#[test]
fn the_new_key_is_the_inner_one() {
    let keys = Keys::generate();
    let inner = KeyChange::sign(KID, keys.old.public(), &keys.new, URL).unwrap();
    let change = KeyChange::parse(&keys.outer(&kid(), &inner), keys.old.public()).unwrap();
    assert_eq!(change.new_key, *keys.new.public());
}

#[test]
fn the_old_key_may_have_more_members() {
    let keys = Keys::generate();
    let mut payload = keys.payload();
    payload["oldKey"]["kid"] = "mine".into();
    assert!(keys.change(&keys.header(), &payload).is_ok());
}

#[test]
fn each_check_of_the_inner_header_counts() {
    let keys = Keys::generate();
    let with = |name: &str, value: Value| {
        let mut header = keys.header();
        header[name] = value;
        header
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        keys.change(&header, &keys.payload()).unwrap_err()
    };
    let inner = |error| JwsError::Inner(Box::new(error));
    assert_eq!(with("nonce", NONCE.into()), JwsError::InnerNonce);
    assert_eq!(with("url", Value::Null), inner(JwsError::NoUrl));
    assert_eq!(with("jwk", Value::Null), inner(JwsError::NoKey));
    assert_eq!(with("crit", json!(["x"])), inner(JwsError::Critical));
    let other_url = with("url", "https://ca.example/other".into());
    assert_eq!(other_url.kind(), ProblemKind::Unauthorized);
    let mismatch = with("alg", "ES256".into());
    assert_eq!(mismatch.kind(), ProblemKind::BadSignatureAlgorithm);
    assert!(
        mismatch.to_string().contains("in the inner JWS"),
        "{mismatch}"
    );
    let not_its_own = with(
        "jwk",
        SigningKey::generate(Algorithm::EdDsa)
            .unwrap()
            .public()
            .to_jwk(),
    );
    assert_eq!(not_its_own, inner(JwsError::Signature));

    let by_kid = json!({ "alg": "EdDSA", "url": URL, "kid": KID });
    assert_eq!(
        keys.change(&by_kid, &keys.payload()),
        Err(JwsError::InnerKid)
    );
}

#[test]
fn each_check_of_the_inner_payload_counts() {
    let keys = Keys::generate();
    let with = |name: &str, value: Value| {
        let mut payload = keys.payload();
        payload[name] = value;
        keys.change(&keys.header(), &payload).unwrap_err()
    };
    assert_eq!(
        with("account", format!("{KID}0").into()),
        JwsError::OtherAccount
    );
    assert_eq!(
        with("oldKey", keys.new.public().to_jwk()),
        JwsError::OtherOldKey
    );
    assert_eq!(with("oldKey", "x".into()), JwsError::OtherOldKey);
    let untyped = with("account", 1.into());
    assert_eq!(untyped.kind(), ProblemKind::Malformed);
    assert!(untyped.to_string().contains("account"), "{untyped}");
    let list = keys.change(&keys.header(), &json!([])).unwrap_err();
    assert!(matches!(list, JwsError::Inner(_)), "{list:?}");
}

#[test]
fn the_outer_request_is_the_accounts_and_holds_a_jws() {
    let keys = Keys::generate();
    let parse = |by: &KeyReference, payload: &str| {
        KeyChange::parse(&keys.outer(by, payload), keys.old.public()).unwrap_err()
    };
    let inner = KeyChange::sign(KID, keys.old.public(), &keys.new, URL).unwrap();
    assert_eq!(parse(&keys.old.jwk(), &inner), JwsError::OuterJwk);
    assert_eq!(parse(&kid(), ""), JwsError::NoPayload);
    assert!(matches!(parse(&kid(), "{}"), JwsError::Inner(_)));
    assert!(matches!(parse(&kid(), "x"), JwsError::Inner(_)));
}
