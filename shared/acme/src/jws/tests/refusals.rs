//! Every refusal of a signed request, with its problem kind and its words.

use certfleet_domain::ProblemKind;
use serde_json::{Value, json};

use super::request::{Request, refusal};
use super::{KID, URL};
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::jws::Jws;
use crate::problem::ProblemDocument;

#[test]
fn the_request_that_the_cases_change_is_in_order() {
    let request = Request::generate();
    for body in [
        request.with(&[]),
        request.with(&[("jwk", Value::Null), ("kid", KID.into())]),
        request.with(&[("typ", "whatever".into()), ("b64", true.into())]),
        request.with_member("unknown", json!([1])),
    ] {
        let jws = Jws::parse(body.as_bytes()).expect(&body);
        jws.require_url(URL).unwrap();
        jws.verify(request.key.public()).expect(&body);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_refusal_has_its_problem_and_its_words() {
    use ProblemKind::{BadNonce, BadPublicKey, BadSignatureAlgorithm, Malformed, Unauthorized};

    let request = Request::generate();
    let jwk = request.key.public().to_jwk();
    let protected = base64url::encode(request.header().to_string());
    let mut secret = jwk.clone();
    secret["d"] = "AA".into();
    let twice = request
        .header()
        .to_string()
        .replacen('{', r#"{"alg":"RS256","#, 1);
    let other = Request::generate();
    let body = request.with(&[]);

    let cases: Vec<(&str, String, ProblemKind, &str)> = vec![
        // The algorithm and the key.
        (
            "none",
            request.with_alg("none"),
            BadSignatureAlgorithm,
            "signed",
        ),
        (
            "None",
            request.with_alg("NoNe"),
            BadSignatureAlgorithm,
            "signed",
        ),
        (
            "HS256",
            request.with_alg("HS256"),
            BadSignatureAlgorithm,
            "MAC",
        ),
        (
            "HS512",
            request.with_alg("HS512"),
            BadSignatureAlgorithm,
            "MAC",
        ),
        (
            "PS256",
            request.with_alg("PS256"),
            BadSignatureAlgorithm,
            "PS256",
        ),
        (
            "ES512",
            request.with_alg("ES512"),
            BadSignatureAlgorithm,
            "ES512",
        ),
        (
            "es256",
            request.with_alg("es256"),
            BadSignatureAlgorithm,
            "es256",
        ),
        (
            "mismatch RS256",
            request.with_alg("RS256"),
            BadSignatureAlgorithm,
            "ES256 is due",
        ),
        (
            "mismatch ES384",
            request.with_alg("ES384"),
            BadSignatureAlgorithm,
            "ES256 is due",
        ),
        (
            "mismatch under a kid",
            request.with(&[
                ("alg", "EdDSA".into()),
                ("jwk", Value::Null),
                ("kid", KID.into()),
            ]),
            BadSignatureAlgorithm,
            "ES256 is due",
        ),
        (
            "no alg",
            request.with(&[("alg", Value::Null)]),
            Malformed,
            "\"alg\"",
        ),
        (
            "alg a number",
            request.with(&[("alg", 7.into())]),
            Malformed,
            "\"alg\"",
        ),
        (
            "jwk and kid",
            request.with(&[("kid", KID.into())]),
            Malformed,
            "both",
        ),
        (
            "no key",
            request.with(&[("jwk", Value::Null)]),
            Malformed,
            "neither",
        ),
        (
            "kid a number",
            request.with(&[("kid", 1.into())]),
            Malformed,
            "\"kid\"",
        ),
        (
            "jwk text",
            request.with(&[("jwk", "x".into())]),
            BadPublicKey,
            "JSON object",
        ),
        (
            "jwk private",
            request.with(&[("jwk", secret)]),
            BadPublicKey,
            "private",
        ),
        (
            "jwk symmetric",
            request.with(&[("jwk", json!({"kty": "oct"}))]),
            BadPublicKey,
            "oct",
        ),
        // Extensions.
        (
            "crit",
            request.with(&[("crit", json!(["x"])), ("x", 1.into())]),
            Malformed,
            "crit",
        ),
        (
            "crit empty",
            request.with(&[("crit", json!([]))]),
            Malformed,
            "crit",
        ),
        (
            "crit exp",
            request.with(&[("crit", json!(["nonce"]))]),
            Malformed,
            "crit",
        ),
        (
            "b64",
            request.with(&[("crit", json!(["b64"])), ("b64", false.into())]),
            Malformed,
            "b64",
        ),
        (
            "b64 alone",
            request.with(&[("b64", false.into())]),
            Malformed,
            "b64",
        ),
        // The URL and the nonce.
        (
            "no url",
            request.with(&[("url", Value::Null)]),
            Malformed,
            "\"url\"",
        ),
        (
            "url a list",
            request.with(&[("url", json!([URL]))]),
            Malformed,
            "\"url\"",
        ),
        (
            "another url",
            request.with(&[("url", "https://x".into())]),
            Unauthorized,
            "https://x",
        ),
        (
            "url with slash",
            request.with(&[("url", format!("{URL}/").into())]),
            Unauthorized,
            URL,
        ),
        (
            "no nonce",
            request.with(&[("nonce", Value::Null)]),
            BadNonce,
            "\"nonce\"",
        ),
        (
            "nonce a number",
            request.with(&[("nonce", 1.into())]),
            Malformed,
            "\"nonce\"",
        ),
        (
            "nonce padded",
            request.with(&[("nonce", "AA==".into())]),
            Malformed,
            "padded",
        ),
        (
            "nonce base64",
            request.with(&[("nonce", "a+/a".into())]),
            Malformed,
            "ordinary base64",
        ),
        // The serialization.
        (
            "signatures",
            request.with_member("signatures", json!([])),
            Malformed,
            "\"signatures\"",
        ),
        (
            "header",
            request.with_member("header", json!({"kid": KID})),
            Malformed,
            "unprotected",
        ),
        (
            "header empty",
            request.with_member("header", json!({})),
            Malformed,
            "unprotected",
        ),
        (
            "no protected",
            request.with_member("protected", Value::Null),
            Malformed,
            "protected",
        ),
        (
            "no payload",
            request.with_member("payload", Value::Null),
            Malformed,
            "payload",
        ),
        (
            "no signature",
            request.with_member("signature", Value::Null),
            Malformed,
            "signature",
        ),
        (
            "payload object",
            request.with_member("payload", json!({})),
            Malformed,
            "payload",
        ),
        (
            "payload padded",
            request.with_member("payload", "e30=".into()),
            Malformed,
            "padded",
        ),
        (
            "payload raw",
            request.with_member("payload", "{}".into()),
            Malformed,
            "base64url",
        ),
        (
            "payload base64",
            request.with_member("payload", "+/+/".into()),
            Malformed,
            "ordinary",
        ),
        (
            "stray bits",
            request.with_member("payload", "e31".into()),
            Malformed,
            "base64url",
        ),
        (
            "protected padded",
            request.with_member("protected", (protected + "=").into()),
            Malformed,
            "padded",
        ),
        (
            "signature padded",
            request.with_member("signature", "AA==".into()),
            Malformed,
            "padded",
        ),
        (
            "protected not JSON",
            request.signed("x"),
            Malformed,
            "protected header",
        ),
        (
            "protected a list",
            request.signed("[]"),
            Malformed,
            "not a JSON object",
        ),
        (
            "protected twice",
            request.signed(&twice),
            Malformed,
            "\"alg\" occurs twice",
        ),
        (
            "member twice",
            body.replacen('{', r#"{"payload":"","#, 1),
            Malformed,
            "\"payload\" occurs twice",
        ),
        ("trailing", format!("{body}{{}}"), Malformed, "trailing"),
        (
            "cut off",
            body[..body.len() - 1].to_owned(),
            Malformed,
            "EOF",
        ),
        ("compact", request.compact(), Malformed, "flattened"),
        (
            "a list",
            format!("[{body}]"),
            Malformed,
            "not a JSON object",
        ),
        ("empty", String::new(), Malformed, "flattened"),
        // The signature.
        (
            "signature empty",
            request.with_member("signature", "".into()),
            Malformed,
            "does not verify",
        ),
        (
            "signature other",
            other.with(&[("jwk", jwk)]),
            Malformed,
            "does not verify",
        ),
        (
            "payload other",
            request.with_member("payload", "".into()),
            Malformed,
            "does not verify",
        ),
    ];
    for (name, body, kind, word) in cases {
        let error = refusal(&request, &body);
        let document = ProblemDocument::from(&error.problem()).with_status(error.status());
        assert_eq!(document.kind(), Some(kind), "{name}: {error}");
        assert_eq!(document.status, Some(kind.status()), "{name}");
        assert!(document.detail.contains(word), "{name}: {error}");
        let due = if kind == BadSignatureAlgorithm {
            Algorithm::names()
        } else {
            vec![]
        };
        assert_eq!(document.algorithms, due, "{name}");
    }
}
