use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::signing::SigningKey;

/// The key and the thumbprint of RFC 7638 §3.1.
const RFC_7638_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const RFC_7638_THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

fn p256() -> Value {
    // RFC 7515 §A.3.1.
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn ed25519() -> Value {
    // RFC 8037 §A.2.
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn rsa(n: &str) -> Value {
    json!({ "kty": "RSA", "n": n, "e": "AQAB" })
}

fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

fn without(mut jwk: Value, name: &str) -> Value {
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

fn modulus_of(bits: usize) -> String {
    let mut octets = vec![0xff; bits.div_ceil(8)];
    octets[0] = 0xff >> ((8 - bits % 8) % 8);
    base64url::encode(octets)
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let key = PublicKey::from_jwk(&with(rsa(RFC_7638_N), "alg", "RS256")).unwrap();
    assert_eq!(key.thumbprint(), RFC_7638_THUMBPRINT);
    // RFC 8037 §A.3.
    let key = PublicKey::from_jwk(&ed25519()).unwrap();
    assert_eq!(
        key.thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    assert_eq!(
        key.canonical(),
        r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
    );
}

#[test]
fn signatures_of_the_rfcs_verify() {
    // RFC 7515 §A.2, §A.3, RFC 8037 §A.4: key, algorithm, signing input, signature.
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rsa = rsa(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    );
    let cases = [
        (
            rsa,
            Algorithm::Rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{claims}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            p256(),
            Algorithm::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{claims}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            ed25519(),
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (jwk, algorithm, message, signature) in cases {
        let key = PublicKey::from_jwk(&jwk).unwrap();
        let signature = base64url::decode(signature).unwrap();
        assert!(
            key.verify(algorithm, message.as_bytes(), &signature),
            "{algorithm}"
        );
        assert!(
            !key.verify(algorithm, b"another message", &signature),
            "{algorithm}"
        );
        for other in Algorithm::ALL.iter().filter(|other| **other != algorithm) {
            assert!(
                !key.verify(*other, message.as_bytes(), &signature),
                "{algorithm} as {other}"
            );
        }
    }
}

#[test]
fn the_spki_is_the_one_that_certificates_have() {
    let key = PublicKey::from_jwk(&ed25519()).unwrap();
    // RFC 8410 §4: SEQUENCE { SEQUENCE { 1.3.101.112 }, BIT STRING }.
    let der = [
        &hex::decode("302a300506032b6570032100").unwrap()[..],
        &base64url::decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap(),
    ]
    .concat();
    assert_eq!(key.spki_der(), der);
    assert!(key.same_key_as_spki(&der));

    let ec = PublicKey::from_jwk(&p256()).unwrap();
    let prefix = hex::decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004").unwrap();
    assert!(ec.spki_der().starts_with(&prefix));
    assert!(!ec.same_key_as_spki(&der));
    // The same point compressed (RFC 5480 §2.2): y is odd.
    let compressed = [
        &hex::decode("3039301306072a8648ce3d020106082a8648ce3d03010703220003").unwrap()[..],
        &base64url::decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap(),
    ]
    .concat();
    assert!(ec.same_key_as_spki(&compressed));
    assert!(!ec.same_key_as_spki(b""));

    let rsa = PublicKey::from_jwk(&rsa(RFC_7638_N)).unwrap();
    // rsaEncryption with its NULL (RFC 3279 §2.3.1).
    let prefix = hex::decode("30820122300d06092a864886f70d01010105000382010f00").unwrap();
    assert!(rsa.spki_der().starts_with(&prefix));
}

#[test]
fn canonical_text_is_one_text() {
    for jwk in [p256(), ed25519(), rsa(RFC_7638_N)] {
        let key = PublicKey::from_jwk(&with(jwk, "kid", "ignored")).unwrap();
        assert_eq!(PublicKey::from_canonical(key.canonical()), Ok(key.clone()));
        assert_eq!(PublicKey::from_jwk(&key.to_jwk()), Ok(key.clone()));
        let spaced = key.canonical().replace(':', ": ");
        assert_eq!(
            PublicKey::from_canonical(&spaced),
            Err(InvalidJwk::NotCanonical)
        );
        let more = key.canonical().replace('}', r#","use":"sig"}"#);
        assert_eq!(
            PublicKey::from_canonical(&more),
            Err(InvalidJwk::NotCanonical)
        );
    }
    let twice = r#"{"kty":"RSA","kty":"EC"}"#;
    let error = PublicKey::from_canonical(twice).unwrap_err();
    assert!(matches!(error, InvalidJwk::NotAnObject(_)), "{error}");
}

#[test]
fn what_is_odd_is_refused() {
    let x = |jwk: &Value| jwk["x"].as_str().unwrap().to_owned();
    let unsupported = |name: &str| InvalidJwk::UnsupportedType(name.to_owned());
    let encoding = |member, source| InvalidJwk::Encoding { member, source };
    let zero = base64url::encode([0; 32]);
    let even = base64url::encode([0xfe; 256]);
    let leading_zero = base64url::encode([&[0][..], &[0xff; 256]].concat());
    let shorter = base64url::encode([1; 31]);
    let cases = [
        (
            json!([]),
            InvalidJwk::NotAnObject("it is not a JSON object".to_owned()),
        ),
        (json!({}), InvalidJwk::Member("kty")),
        (with(p256(), "kty", 1), InvalidJwk::Member("kty")),
        (json!({ "kty": "oct", "k": "AA" }), InvalidJwk::Secret("k")),
        (json!({ "kty": "oct" }), unsupported("oct")),
        (with(p256(), "d", "AA"), InvalidJwk::Secret("d")),
        (with(rsa(RFC_7638_N), "p", "AA"), InvalidJwk::Secret("p")),
        (with(ed25519(), "d", Value::Null), InvalidJwk::Secret("d")),
        (with(p256(), "crv", "P-521"), unsupported("EC P-521")),
        (
            with(p256(), "crv", "secp256k1"),
            unsupported("EC secp256k1"),
        ),
        (with(p256(), "crv", "Ed25519"), unsupported("EC Ed25519")),
        (with(ed25519(), "crv", "X25519"), unsupported("OKP X25519")),
        (with(p256(), "use", "enc"), InvalidJwk::Purpose("use")),
        (with(p256(), "alg", "ES384"), InvalidJwk::Purpose("alg")),
        (without(p256(), "y"), InvalidJwk::Member("y")),
        (with(p256(), "y", zero.as_str()), InvalidJwk::Point("P-256")),
        (
            with(with(p256(), "x", zero.as_str()), "y", zero.as_str()),
            InvalidJwk::Point("P-256"),
        ),
        (
            with(p256(), "crv", "P-384"),
            InvalidJwk::Length {
                member: "x",
                given: 32,
                due: 48,
            },
        ),
        (
            with(p256(), "x", shorter.as_str()),
            InvalidJwk::Length {
                member: "x",
                given: 31,
                due: 32,
            },
        ),
        (
            with(p256(), "x", x(&p256()) + "="),
            encoding("x", InvalidBase64Url::Padded),
        ),
        (
            with(ed25519(), "x", x(&ed25519()).replace('_', "/")),
            encoding("x", InvalidBase64Url::OrdinaryBase64),
        ),
        (
            with(ed25519(), "x", zero.as_str()),
            InvalidJwk::Point("Ed25519"),
        ),
        (with(rsa(RFC_7638_N), "e", "Aw"), InvalidJwk::RsaExponent),
        (
            with(rsa(RFC_7638_N), "e", "AAEAAQ"),
            InvalidJwk::RsaExponent,
        ),
        (rsa(""), InvalidJwk::RsaModulus),
        (rsa(&even), InvalidJwk::RsaModulus),
        (rsa(&leading_zero), InvalidJwk::RsaModulus),
        (rsa(&modulus_of(1024)), InvalidJwk::RsaSize(1024)),
        (rsa(&modulus_of(2047)), InvalidJwk::RsaSize(2047)),
        (rsa(&modulus_of(4097)), InvalidJwk::RsaSize(4097)),
        (rsa(&modulus_of(16384)), InvalidJwk::RsaSize(16384)),
    ];
    for (jwk, due) in cases {
        assert_eq!(PublicKey::from_jwk(&jwk), Err(due), "{jwk}");
    }
    for bits in [2048, 3072, 4096] {
        assert!(
            PublicKey::from_jwk(&rsa(&modulus_of(bits))).is_ok(),
            "{bits}"
        );
    }
}

#[test]
fn made_keys_are_taken_and_sign() {
    for algorithm in Algorithm::ALL {
        let pair = SigningKey::generate(*algorithm).unwrap();
        assert_eq!(pair.public().kind().algorithm(), *algorithm);
        let text = pair.public().canonical();
        assert_eq!(PublicKey::from_canonical(text).as_ref(), Ok(pair.public()));
    }
}

proptest! {
    #[test]
    fn arbitrary_members_never_panic(
        kty in "EC|OKP|RSA|oct",
        crv in "P-256|P-384|Ed25519|.{0,5}",
        members in proptest::collection::btree_map("x|y|n|e|use|alg", "[A-Za-z0-9_=-]{0,90}", 0..6),
    ) {
        let mut jwk = json!({ "kty": kty, "crv": crv });
        for (name, value) in members {
            jwk[name] = value.into();
        }
        let _ = PublicKey::from_jwk(&jwk);
    }

    #[test]
    fn a_random_point_is_a_key_or_not_and_never_panics(x: [u8; 32], y: [u8; 32]) {
        let (x, y) = (base64url::encode(x), base64url::encode(y));
        let ec = PublicKey::from_jwk(&json!({ "kty": "EC", "crv": "P-256", "x": &x, "y": y }));
        prop_assert_eq!(ec, Err(InvalidJwk::Point("P-256")));
        if let Ok(key) = PublicKey::from_jwk(&json!({ "kty": "OKP", "crv": "Ed25519", "x": x })) {
            prop_assert_eq!(PublicKey::from_canonical(key.canonical()), Ok(key));
        }
    }
}
