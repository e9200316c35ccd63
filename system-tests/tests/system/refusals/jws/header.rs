//! What is wrong with what was said: the header, the key, the signature, the payload.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use certfleet_acme::SigningKey;
use certfleet_domain::ProblemKind::{
    AccountDoesNotExist, BadNonce, BadPublicKey, BadSignatureAlgorithm, Malformed, Unauthorized,
};
use serde_json::json;

use super::draft::{Case, case, encoded, header, lacking, with_jwk};

pub(super) const CASES: &[Case] = &[
    case(
        "a header that is not JSON",
        400,
        Malformed,
        "protected header",
        |d| d.key.sign_flattened("alg=ES256", &d.payload).unwrap(),
    ),
    case("no alg", 400, Malformed, "\"alg\"", |d| lacking(d, "alg")),
    case("alg is no string", 400, Malformed, "\"alg\"", |d| {
        header(d, "alg", json!(["ES256"]))
    }),
    case("alg none", 400, BadSignatureAlgorithm, "\"none\"", |d| {
        header(d, "alg", "none")
    }),
    case(
        "alg nOnE without signature",
        400,
        BadSignatureAlgorithm,
        "\"none\"",
        |d| {
            d.set("alg", "nOnE");
            let mut jws = d.jws();
            jws["signature"] = "".into();
            jws.to_string()
        },
    ),
    case("HS256", 400, BadSignatureAlgorithm, "MAC", |d| {
        header(d, "alg", "HS256")
    }),
    case("HS384", 400, BadSignatureAlgorithm, "MAC", |d| {
        header(d, "alg", "HS384")
    }),
    case("HS512", 400, BadSignatureAlgorithm, "MAC", |d| {
        header(d, "alg", "HS512")
    }),
    case("PS256", 400, BadSignatureAlgorithm, "PS256", |d| {
        header(d, "alg", "PS256")
    }),
    case("ES512", 400, BadSignatureAlgorithm, "ES512", |d| {
        header(d, "alg", "ES512")
    }),
    case(
        "RS256 with a P-256 key's account",
        400,
        BadSignatureAlgorithm,
        "does not go with",
        |d| header(d, "alg", "RS256"),
    ),
    case(
        "ES384 with a P-256 jwk",
        400,
        BadSignatureAlgorithm,
        "does not go with",
        |d| {
            d.by_jwk(d.account.key.public().to_jwk());
            header(d, "alg", "ES384")
        },
    ),
    case("jwk and kid", 400, Malformed, "both", |d| {
        let jwk = d.account.key.public().to_jwk();
        header(d, "jwk", jwk)
    }),
    case("neither jwk nor kid", 400, Malformed, "neither", |d| {
        lacking(d, "kid")
    }),
    case("jwk where kid is due", 400, Malformed, "\"kid\"", |d| {
        let jwk = d.account.key.public().to_jwk();
        with_jwk(d, jwk)
    }),
    case(
        "an unknown account",
        400,
        AccountDoesNotExist,
        "no account",
        |d| {
            let url = d.account.url.clone();
            let (base, id) = url.rsplit_once('/').unwrap();
            let other = id.chars().rev().collect::<String>();
            header(d, "kid", format!("{base}/{other}"))
        },
    ),
    case(
        "a kid that is no URL of ours",
        400,
        AccountDoesNotExist,
        "no account",
        |d| header(d, "kid", "https://other.test/acme/default/account/1"),
    ),
    case("crit", 400, Malformed, "\"crit\"", |d| {
        header(d, "crit", json!(["exp"]))
    }),
    case("an empty crit", 400, Malformed, "\"crit\"", |d| {
        header(d, "crit", json!([]))
    }),
    case("an unencoded payload", 400, Malformed, "\"b64\"", |d| {
        d.set("crit", json!(["b64"]));
        d.set("b64", false);
        let mut jws = d.jws();
        jws["payload"] = "{}".into();
        jws.to_string()
    }),
    case(
        "another URL",
        403,
        Unauthorized,
        "signed for the URL",
        |d| header(d, "url", "https://other.test/acme/default/new-order"),
    ),
    case(
        "the URL of another resource",
        403,
        Unauthorized,
        "signed for the URL",
        |d| {
            let url = d.url.replace("new-order", "new-authz");
            header(d, "url", url)
        },
    ),
    case(
        "the URL with a query",
        403,
        Unauthorized,
        "signed for the URL",
        |d| {
            let url = format!("{}?", d.url);
            header(d, "url", url)
        },
    ),
    case("no url", 400, Malformed, "\"url\"", |d| lacking(d, "url")),
    case("no nonce", 400, BadNonce, "\"nonce\"", |d| {
        lacking(d, "nonce")
    }),
    case(
        "a nonce that is no string",
        400,
        Malformed,
        "\"nonce\"",
        |d| header(d, "nonce", json!(7)),
    ),
    case(
        "a nonce that is not base64url",
        400,
        Malformed,
        "nonce",
        |d| header(d, "nonce", "a+b="),
    ),
    case(
        "a signature of another key",
        400,
        Malformed,
        "does not verify",
        |d| {
            d.key = Arc::new(SigningKey::generate_p256().unwrap());
            d.jws().to_string()
        },
    ),
    case(
        "a spoiled signature",
        400,
        Malformed,
        "does not verify",
        |d| {
            encoded(d, "signature", |octets| {
                let mut octets = octets.to_vec();
                octets[40] ^= 1;
                BASE64URL.encode(octets)
            })
        },
    ),
    case(
        "a signature in DER",
        400,
        Malformed,
        "does not verify",
        |d| {
            encoded(d, "signature", |octets| {
                BASE64URL.encode([&[0x30, 0x44], octets].concat())
            })
        },
    ),
    case(
        "another payload than signed",
        400,
        Malformed,
        "does not verify",
        |d| encoded(d, "payload", |_| BASE64URL.encode("{\"identifiers\":[]}")),
    ),
    case(
        "a jwk with its private part",
        400,
        BadPublicKey,
        "compromised",
        |d| {
            let mut jwk = d.account.key.public().to_jwk();
            jwk["d"] = jwk["x"].clone();
            with_jwk(d, jwk)
        },
    ),
    case(
        "a jwk of a curve that is not supported",
        400,
        BadPublicKey,
        "P-521",
        |d| {
            with_jwk(
                d,
                json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }),
            )
        },
    ),
    case(
        "a symmetric jwk",
        400,
        BadPublicKey,
        "private member",
        |d| with_jwk(d, json!({ "kty": "oct", "k": "AAAA" })),
    ),
    case(
        "a jwk whose point is not on the curve",
        400,
        BadPublicKey,
        "P-256",
        |d| {
            let mut jwk = d.account.key.public().to_jwk();
            jwk["y"] = jwk["x"].clone();
            with_jwk(d, jwk)
        },
    ),
    case(
        "an RSA jwk of 1024 bits",
        400,
        BadPublicKey,
        "1024 bits",
        |d| {
            let modulus = BASE64URL.encode([0xc1; 128]);
            d.set("alg", "RS256");
            with_jwk(d, json!({ "kty": "RSA", "e": "AQAB", "n": modulus }))
        },
    ),
    case(
        "an RSA jwk with exponent 3",
        400,
        BadPublicKey,
        "65537",
        |d| {
            let modulus = BASE64URL.encode([0xc1; 256]);
            d.set("alg", "RS256");
            with_jwk(d, json!({ "kty": "RSA", "e": "Aw", "n": modulus }))
        },
    ),
    case(
        "a payload that is not JSON",
        400,
        Malformed,
        "payload",
        |d| {
            d.payload = b"identifiers".to_vec();
            d.jws().to_string()
        },
    ),
    case(
        "a payload that is an array",
        400,
        Malformed,
        "not a JSON object",
        |d| {
            d.payload = b"[]".to_vec();
            d.jws().to_string()
        },
    ),
    case(
        "a payload with a member twice",
        400,
        Malformed,
        "occurs twice",
        |d| {
            d.payload = br#"{"identifiers":[],"identifiers":[]}"#.to_vec();
            d.jws().to_string()
        },
    ),
    case(
        "an empty payload where there is something to say",
        400,
        Malformed,
        "POST-as-GET",
        |d| {
            d.payload = Vec::new();
            d.jws().to_string()
        },
    ),
];
