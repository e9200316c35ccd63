mod key_change;
mod limits;
mod refusals;
mod request;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::signing::SigningKey;

const URL: &str = "https://ca.example/acme/new-order";
const KID: &str = "https://ca.example/acme/account/1";
const NONCE: &str = "bm9uY2U";

fn kid() -> KeyReference {
    KeyReference::Kid(KID.to_owned())
}

fn verified(key: &SigningKey, payload: &[u8]) -> Verified {
    let body = key.sign_request(&kid(), Some(NONCE), URL, payload).unwrap();
    let jws = Jws::parse(body.as_bytes()).unwrap();
    jws.verify(key.public()).unwrap()
}

#[test]
fn what_is_signed_verifies_with_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(*algorithm).unwrap();
        for reference in [key.jwk(), kid()] {
            let body = key
                .sign_request(&reference, Some(NONCE), URL, b"{}")
                .unwrap();
            let jws = Jws::parse(body.as_bytes()).unwrap();
            assert_eq!(jws.url(), URL);
            assert_eq!(jws.nonce(), NONCE);
            assert_eq!(jws.algorithm(), *algorithm);
            assert_eq!(*jws.key(), reference);
            jws.require_url(URL).unwrap();
            let verified = jws.verify(key.public()).unwrap();
            assert!(verified.payload::<NoMembers>().is_ok(), "{algorithm}");
        }
    }
}

#[derive(Debug, Deserialize)]
struct NoMembers {}

#[derive(Debug, Deserialize)]
struct Members {
    list: Vec<u8>,
}

#[test]
fn a_payload_is_an_object_or_empty() {
    let key = SigningKey::generate_p256().unwrap();
    let read = verified(&key, b"");
    assert!(read.is_post_as_get());
    assert_eq!(read.expect_post_as_get(), Ok(()));
    assert_eq!(
        read.payload::<NoMembers>().unwrap_err(),
        JwsError::NoPayload
    );

    let write = verified(&key, br#"{"list":[1,2],"unknown":{}}"#);
    assert!(!write.is_post_as_get());
    assert_eq!(write.expect_post_as_get(), Err(JwsError::NotPostAsGet));
    assert_eq!(write.payload::<Members>().unwrap().list, [1, 2]);

    for (bad, due) in [
        (&b"[]"[..], "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{", "EOF"),
        (b"{}{}", "trailing"),
        (b"\xff", "expected value"),
        (b"{\"\xff\":1}", "unicode"),
        (br#"{"list":[1],"list":[2]}"#, "occurs twice"),
        (br#"{"list":[1],"x":{"y":1,"y":1}}"#, "occurs twice"),
        (br#"{"list":[1,300]}"#, "list[1]"),
        (b"{}", "missing field `list`"),
    ] {
        let error = verified(&key, bad).payload::<Members>().unwrap_err();
        assert!(matches!(error, JwsError::Payload(_)), "{error:?}");
        assert!(error.to_string().contains(due), "{error}");
    }
}

#[test]
fn another_key_does_not_verify() {
    let (key, other) = (
        SigningKey::generate_p256().unwrap(),
        SigningKey::generate_p256().unwrap(),
    );
    for reference in [key.jwk(), kid()] {
        let body = key
            .sign_request(&reference, Some(NONCE), URL, b"{}")
            .unwrap();
        let jws = Jws::parse(body.as_bytes()).unwrap();
        assert_eq!(jws.verify(other.public()).unwrap_err(), JwsError::Signature);
    }
}

#[test]
fn every_changed_octet_is_found() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let body = key
            .sign_request(&kid(), Some(NONCE), URL, br#"{"a":1}"#)
            .unwrap();
        for at in 0..body.len() {
            for change in [0x01, 0x02, 0x20, 0x80] {
                let mut changed = body.clone().into_bytes();
                changed[at] ^= change;
                let result = Jws::parse(&changed).and_then(|jws| jws.verify(key.public()));
                assert!(result.is_err(), "{algorithm}: octet {at} ^ {change:#x}");
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_octets_are_refused(octets: Vec<u8>) {
        prop_assert!(Jws::parse(&octets).is_err());
    }

    #[test]
    fn arbitrary_headers_never_panic(
        header in proptest::collection::btree_map(
            "alg|nonce|url|jwk|kid|crit|b64|[a-z]{1,3}",
            prop_oneof![
                Just("\"ES256\"".to_owned()), Just("{\"kty\":\"EC\"}".to_owned()), Just("null".to_owned()),
                Just("[]".to_owned()), Just("true".to_owned()), "\"[a-zA-Z0-9_-]{0,20}\"",
            ],
            0..7,
        ),
        payload: Vec<u8>,
        signature: Vec<u8>,
    ) {
        let members: Vec<_> = header.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let header = format!("{{{}}}", members.join(","));
        let body = serde_json::json!({
            "protected": base64url::encode(header),
            "payload": base64url::encode(payload),
            "signature": base64url::encode(signature),
        });
        if let Ok(jws) = Jws::parse(body.to_string().as_bytes()) {
            let key = SigningKey::generate_p256().unwrap();
            prop_assert!(jws.verify(key.public()).is_err());
        }
    }
}
