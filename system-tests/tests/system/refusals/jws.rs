//! Every way in which a request's JWS can be wrong (RFC 8555 §6.2 to §6.5), over real HTTP.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD as BASE64URL};
use certfleet_acme::{Algorithm, MAX_BODY, SigningKey};
use certfleet_domain::ProblemKind::{
    self, AccountDoesNotExist, BadNonce, BadPublicKey, BadSignatureAlgorithm, Malformed,
    Unauthorized,
};
use certfleet_system_tests::Cluster;
use certfleet_system_tests::acme::{Account, Acme, Answer, JOSE_JSON};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

/// A request that would be right: newOrder by an account.
struct Draft {
    account: Account,
    url: String,
    content_type: Option<&'static str>,
    protected: Value,
    payload: Vec<u8>,
    /// Who signs; the account's own key unless a case says otherwise.
    key: Arc<SigningKey>,
}

impl Draft {
    async fn new(acme: &Acme, account: &Account) -> Result<Self> {
        let url = acme.directory().new_order.clone();
        Ok(Self {
            protected: json!({
                "alg": "ES256", "kid": account.url, "nonce": acme.nonce().await?, "url": url,
            }),
            url,
            content_type: Some(JOSE_JSON),
            payload: br#"{"identifiers":[{"type":"dns","value":"refusals.test"}]}"#.to_vec(),
            key: Arc::clone(&account.key),
            account: account.clone(),
        })
    }

    /// The JWS, signed over whatever the header is by now.
    fn jws(&self) -> Value {
        let text = self
            .key
            .sign_flattened(&self.protected.to_string(), &self.payload);
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.protected[name] = value.into();
    }

    fn without(&mut self, name: &str) {
        self.protected.as_object_mut().unwrap().remove(name);
    }

    /// The key itself in place of its account.
    fn by_jwk(&mut self, jwk: Value) {
        self.without("kid");
        self.set("jwk", jwk);
    }
}

/// What a case makes of the draft: the body that is sent.
type Spoil = fn(&mut Draft) -> String;

struct Case {
    name: &'static str,
    status: u16,
    kind: ProblemKind,
    /// What the detail has to say, among other things.
    says: &'static str,
    body: Spoil,
}

const fn case(
    name: &'static str,
    status: u16,
    kind: ProblemKind,
    says: &'static str,
    body: Spoil,
) -> Case {
    Case {
        name,
        status,
        kind,
        says,
        body,
    }
}

/// The header is changed, and the whole signed as if it were right.
fn header(draft: &mut Draft, name: &str, value: impl Into<Value>) -> String {
    draft.set(name, value);
    draft.jws().to_string()
}

/// The header lacks something.
fn lacking(draft: &mut Draft, name: &str) -> String {
    draft.without(name);
    draft.jws().to_string()
}

/// A member of the right JWS is encoded otherwise.
fn encoded(draft: &Draft, member: &str, encode: fn(&[u8]) -> String) -> String {
    let mut jws = draft.jws();
    let octets = BASE64URL.decode(jws[member].as_str().unwrap()).unwrap();
    jws[member] = encode(&octets).into();
    jws.to_string()
}

fn with_jwk(draft: &mut Draft, jwk: Value) -> String {
    draft.by_jwk(jwk);
    draft.jws().to_string()
}

const CASES: &[Case] = &[
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

#[tokio::test]
async fn each_refusal_has_its_type_a_helpful_detail_and_a_nonce_that_works() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    for case in CASES {
        refused(&acme, &account, case)
            .await
            .with_context(|| format!("case {:?}", case.name))?;
    }
    Ok(())
}

async fn refused(acme: &Acme, account: &Account, case: &Case) -> Result<()> {
    let mut draft = Draft::new(acme, account).await?;
    let body = (case.body)(&mut draft);
    let answer = post(acme, &draft, body).await?;
    let problem = answer.expect_problem(case.status, case.kind)?;
    ensure!(
        problem.detail.contains(case.says),
        "detail: {}",
        problem.detail
    );
    let lists = case.kind == BadSignatureAlgorithm;
    let due: &[&str] = if lists {
        &["ES256", "ES384", "EdDSA", "RS256"]
    } else {
        &[]
    };
    ensure!(
        problem.algorithms == due,
        "algorithms: {:?}",
        problem.algorithms
    );
    ensure!(
        answer.header("cache-control") == Some("no-store"),
        "it may be cached"
    );
    ensure!(
        answer.links("index") == [acme.index()],
        "Link: index: {:?}",
        answer.headers
    );
    nonce_works(acme, account, &answer).await
}

async fn post(acme: &Acme, draft: &Draft, body: String) -> Result<Answer> {
    let mut request = acme.http().post(&draft.url).body(body);
    if let Some(content_type) = draft.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    Answer::read(request.send().await?).await
}

/// The answer's fresh nonce is taken, once.
async fn nonce_works(acme: &Acme, account: &Account, answer: &Answer) -> Result<()> {
    let nonce = answer.nonce().context("no Replay-Nonce")?;
    let body = account
        .key
        .sign_request(&account.kid(), Some(nonce), &account.url, b"")?;
    acme.send(&account.url, body.clone()).await?.expect(200)?;
    acme.send(&account.url, body)
        .await?
        .expect_problem(400, BadNonce)?;
    Ok(())
}

#[tokio::test]
async fn a_body_of_64_kib_is_taken_and_one_octet_more_is_not() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let mut draft = Draft::new(&acme, &account).await?;
    // An unknown member is ignored, and may be as long as it likes.
    let fill = |draft: &mut Draft, length: usize| {
        let filler = "f".repeat(length);
        draft.payload = json!({ "identifiers": [{ "type": "dns", "value": "refusals.test" }], "filler": filler })
            .to_string()
            .into_bytes();
        draft.jws().to_string()
    };
    let length = (MAX_BODY - fill(&mut draft, 0).len()) * 3 / 4;
    let mut body = fill(&mut draft, length);
    // White space behind the object makes it exact.
    body.push_str(&" ".repeat(MAX_BODY - body.len()));
    post(&acme, &draft, body.clone()).await?.expect(201)?;
    body.push(' ');
    let answer = post(&acme, &draft, body).await?;
    answer.expect_problem(413, Malformed)?;
    nonce_works(&acme, &account, &answer).await
}

#[tokio::test]
async fn every_algorithm_signs_and_parameters_of_the_content_type_do_not_count() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    for algorithm in Algorithm::ALL {
        let account = acme.account_of(SigningKey::generate(*algorithm)?).await?;
        let mut draft = Draft::new(&acme, &account).await?;
        draft.set("alg", algorithm.name());
        draft.set("unknown", "ignored");
        draft.content_type = Some("Application/JOSE+json; charset=utf-8");
        let body = draft.jws().to_string();
        post(&acme, &draft, body).await?.expect(201)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_key_is_not_taken_where_an_account_is_due_nor_the_other_way_round() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let directory = acme.directory().clone();
    let by_account = acme
        .post(&account, &directory.new_account, &json!({}))
        .await?;
    let problem = by_account.expect_problem(400, Malformed)?;
    assert!(problem.detail.contains("\"jwk\""), "{}", problem.detail);
    let order = format!(
        "{}/order/0",
        directory.new_order.trim_end_matches("/new-order")
    );
    for url in [
        &directory.new_order,
        &directory.key_change,
        &account.url,
        &order,
    ] {
        let by_key = acme.post_by_key(&account.key, url, &json!({})).await?;
        let problem = by_key.expect_problem(400, Malformed)?;
        assert!(
            problem.detail.contains("\"kid\""),
            "{url}: {}",
            problem.detail
        );
    }
    Ok(())
}
