//! What is wrong with the form: the media type, the serialization, the encoding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use certfleet_domain::ProblemKind::Malformed;
use serde_json::json;

use super::draft::{Case, case, encoded};

pub(super) const CASES: &[Case] = &[
    case(
        "no content type",
        415,
        Malformed,
        "application/jose+json",
        |d| {
            d.content_type = None;
            d.jws().to_string()
        },
    ),
    case(
        "JSON's content type",
        415,
        Malformed,
        "application/jose+json",
        |d| {
            d.content_type = Some("application/json");
            d.jws().to_string()
        },
    ),
    case("an empty body", 400, Malformed, "flattened", |_| {
        String::new()
    }),
    case("not JSON", 400, Malformed, "flattened", |_| {
        "protected.payload.signature".to_owned()
    }),
    case("compact serialization", 400, Malformed, "flattened", |d| {
        let jws = d.jws();
        let part = |name: &str| jws[name].as_str().unwrap().to_owned();
        format!(
            "{:?}",
            [part("protected"), part("payload"), part("signature")].join(".")
        )
    }),
    case(
        "JSON, but an array",
        400,
        Malformed,
        "not a JSON object",
        |d| format!("[{}]", d.jws()),
    ),
    case(
        "something behind the JWS",
        400,
        Malformed,
        "flattened",
        |d| format!("{}{}", d.jws(), d.jws()),
    ),
    case("a member twice", 400, Malformed, "occurs twice", |d| {
        let jws = d.jws().to_string();
        jws.replacen('{', &format!("{{\"payload\":{},", json!("e30")), 1)
    }),
    case(
        "a header parameter twice",
        400,
        Malformed,
        "occurs twice",
        |d| {
            let protected =
                d.protected
                    .to_string()
                    .replacen('{', "{\"url\":\"https://other.test/\",", 1);
            d.key.sign_flattened(&protected, &d.payload).unwrap()
        },
    ),
    case(
        "several signatures",
        400,
        Malformed,
        "\"signatures\"",
        |d| {
            let jws = d.jws();
            let one = json!({ "protected": jws["protected"], "signature": jws["signature"] });
            json!({ "payload": jws["payload"], "signatures": [one, one] }).to_string()
        },
    ),
    case(
        "one signature, in the general form",
        400,
        Malformed,
        "\"signatures\"",
        |d| {
            let jws = d.jws();
            let one = json!({ "protected": jws["protected"], "signature": jws["signature"] });
            json!({ "payload": jws["payload"], "signatures": [one] }).to_string()
        },
    ),
    case(
        "an unprotected header",
        400,
        Malformed,
        "unprotected",
        |d| {
            let mut jws = d.jws();
            jws["header"] = json!({ "kid": d.account.url });
            jws.to_string()
        },
    ),
    case("no payload member", 400, Malformed, "\"payload\"", |d| {
        let mut jws = d.jws();
        jws.as_object_mut().unwrap().remove("payload");
        jws.to_string()
    }),
    case(
        "a signature that is no string",
        400,
        Malformed,
        "\"signature\"",
        |d| {
            let mut jws = d.jws();
            jws["signature"] = json!(7);
            jws.to_string()
        },
    ),
    case("a padded header", 400, Malformed, "padded", |d| {
        // So that there is something to pad.
        d.set("filler", "1");
        while d.protected.to_string().len().is_multiple_of(3) {
            d.protected["filler"] = format!("{}1", d.protected["filler"].as_str().unwrap()).into();
        }
        encoded(d, "protected", |octets| URL_SAFE.encode(octets))
    }),
    case("a padded payload", 400, Malformed, "padded", |d| {
        d.payload = b"{}".to_vec();
        encoded(d, "payload", |octets| URL_SAFE.encode(octets))
    }),
    case("a padded signature", 400, Malformed, "padded", |d| {
        encoded(d, "signature", |octets| URL_SAFE.encode(octets))
    }),
    case("ordinary base64", 400, Malformed, "URL-safe", |d| {
        d.payload = "{\"identifiers\":[],\"filler\":\"ÿÿÿ??>>\"}".into();
        encoded(d, "payload", |octets| {
            STANDARD.encode(octets).trim_end_matches('=').to_owned()
        })
    }),
    case("no base64url at all", 400, Malformed, "base64url", |d| {
        encoded(d, "payload", |_| "{}".to_owned())
    }),
    case(
        "base64url with stray bits",
        400,
        Malformed,
        "base64url",
        |d| encoded(d, "payload", |_| "e31".to_owned()),
    ),
];
