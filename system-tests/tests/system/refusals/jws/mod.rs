//! Every way in which a request's JWS can be wrong (RFC 8555 §6.2 to §6.5), over real HTTP.

mod draft;
mod form;
mod header;

use std::convert::Infallible;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use certfleet_acme::{Algorithm, MAX_BODY, SigningKey};
use certfleet_domain::ProblemKind::{BadNonce, BadSignatureAlgorithm, Malformed};
use certfleet_system_tests::Cluster;
use certfleet_system_tests::acme::{Account, Acme, Answer};
use http::header::CONTENT_TYPE;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use draft::{Case, Draft};

#[tokio::test]
async fn each_refusal_has_its_type_a_helpful_detail_and_a_nonce_that_works() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    for case in form::CASES.iter().chain(header::CASES) {
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
    nonce_works(&acme, &account, &answer).await?;

    // A client that has more to send gets its answer all the same, whichever way it speaks.
    let over_http2 = cluster.http_builder()?.build()?;
    for client in [cluster.http()?, over_http2] {
        let acme = Acme::connect(client, cluster.directory()).await?;
        for octets in [200_000, 3_000_000] {
            let answer = post(&acme, &draft, "x".repeat(octets)).await?;
            answer.expect_problem(413, Malformed)?;
            nonce_works(&acme, &account, &answer).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_come_is_the_clients_fault() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let body = reqwest::Body::wrap(StreamBody::new(never));
    let url = acme.directory().new_order.clone();
    let answer = acme.send(&url, body).await?;
    answer.expect_problem(408, Malformed)?;
    Ok(())
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
