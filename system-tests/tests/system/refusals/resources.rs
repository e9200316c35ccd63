//! The resources themselves: the directory, methods, links, and who may see what.

use anyhow::{Context as _, Result, ensure};
use certfleet_acme::messages::Directory;
use certfleet_domain::ProblemKind::{Malformed, Unauthorized};
use certfleet_system_tests::acme::Answer;
use certfleet_system_tests::{Cluster, fresh_name};
use http::Method;
use http::header::HOST;
use serde_json::{Value, json};

#[tokio::test]
async fn each_authority_has_a_directory_and_the_default_one_has_two() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let http = cluster.http()?;
    let api = cluster.api().trim_end_matches('/');
    let own = cluster.acme().await?.index();
    ensure!(own == format!("{api}/acme/default/directory"), "{own}");
    let by_name = Answer::read(http.get(&own).send().await?)
        .await?
        .expect(200)?;
    let default = Answer::read(http.get(format!("{api}/directory")).send().await?)
        .await?
        .expect(200)?;
    ensure!(
        by_name.json::<Value>()? == default.json::<Value>()?,
        "{}",
        default.text()
    );

    let base = own.trim_end_matches("/directory").to_owned();
    let directory: Directory = by_name.json()?;
    let urls = [
        (Some(directory.new_nonce), "new-nonce"),
        (Some(directory.new_account), "new-account"),
        (Some(directory.new_order), "new-order"),
        (directory.new_authz, "new-authz"),
        (Some(directory.revoke_cert), "revoke-cert"),
        (Some(directory.key_change), "key-change"),
    ];
    for (url, name) in urls {
        ensure!(url == Some(format!("{base}/{name}")), "{name}: {url:?}");
    }
    let profiles: Vec<&String> = directory.meta.profiles.keys().collect();
    ensure!(profiles == ["classic", "shortlived"], "{profiles:?}");

    for name in ["no-such-authority", "Default", "default%20", "-", "%ff"] {
        let answer = Answer::read(
            http.get(format!("{api}/acme/{name}/directory"))
                .send()
                .await?,
        )
        .await?;
        answer
            .expect_problem(404, Malformed)
            .with_context(|| name.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn urls_come_from_the_setting_and_not_from_the_host_header() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let http = cluster.http()?;
    let honest = Answer::read(http.get(cluster.directory()).send().await?)
        .await?
        .expect(200)?;
    let request = http
        .get(cluster.directory())
        .header(HOST, "evil.test")
        .header("x-forwarded-host", "evil.test")
        .header("forwarded", "host=evil.test;proto=http");
    let lied_to = Answer::read(request.send().await?).await?.expect(200)?;
    ensure!(
        honest.json::<Value>()? == lied_to.json::<Value>()?,
        "{}",
        lied_to.text()
    );
    ensure!(!lied_to.text().contains("evil"), "{}", lied_to.text());

    // Nor is a signature for the Host header's URL one for ours.
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let nonce = acme.new_nonce().await?;
    let evil = account
        .url
        .replace(cluster.api().trim_end_matches('/'), "https://evil.test");
    let body = account
        .key
        .sign_request(&account.kid(), Some(&nonce), &evil, b"")?;
    let request = http
        .post(&account.url)
        .header(HOST, "evil.test")
        .header("content-type", "application/jose+json")
        .body(body);
    Answer::read(request.send().await?)
        .await?
        .expect_problem(403, Unauthorized)?;
    Ok(())
}

#[tokio::test]
async fn a_method_that_does_not_go_with_a_resource_is_a_405_problem() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("methods")], cluster.answers())
        .await?;
    let authorization = &issued.order.authorizations[0];
    let value: Value = acme.read(&account, authorization).await?.json()?;
    let challenge = value["challenges"][0]["url"]
        .as_str()
        .context("challenge")?;
    let directory = acme.directory();
    let orders = format!("{}/orders", account.url);
    let post_only = [
        &directory.new_account,
        &directory.new_order,
        directory.new_authz.as_ref().context("newAuthz")?,
        &directory.revoke_cert,
        &directory.key_change,
        &account.url,
        &orders,
        &issued.order_url,
        &issued.order.finalize,
        authorization,
        &challenge.to_owned(),
        &issued.url,
    ];
    for url in post_only {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer =
                Answer::read(acme.http().request(method.clone(), url).send().await?).await?;
            let problem = answer
                .expect_problem(405, Malformed)
                .with_context(|| format!("{method} {url}"))?;
            ensure!(problem.detail.contains("POST-as-GET"), "{}", problem.detail);
            ensure!(
                answer.header("allow") == Some("POST"),
                "{method} {url}: Allow: {:?}",
                answer.header("allow")
            );
        }
    }
    for url in [cluster.directory(), &directory.new_nonce] {
        let answer = Answer::read(acme.http().delete(url).send().await?).await?;
        answer.expect_problem(405, Malformed)?;
    }
    Ok(())
}

/// RFC 8555 §6.3: the directory and newNonce answer GET and POST-as-GET; everything else that is read, POST-as-GET.
#[tokio::test]
async fn what_is_read_answers_to_post_as_get_and_refuses_a_payload() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("read")], cluster.answers())
        .await?;
    let directory = acme.directory();

    for url in [cluster.directory().to_owned(), acme.index()] {
        let read = acme.read(&account, &url).await?.expect(200)?;
        ensure!(read.json::<Directory>()? == *directory, "{}", read.text());
    }
    let read = acme
        .read(&account, &directory.new_nonce)
        .await?
        .expect(204)?;
    ensure!(read.nonce().is_some(), "newNonce: no nonce");

    let orders = format!("{}/orders", account.url);
    for url in [&orders, &issued.order_url, &issued.url] {
        acme.read(&account, url).await?.expect(200)?;
        let answer = acme.post(&account, url, &json!({})).await?;
        let problem = answer.expect_problem(400, Malformed)?;
        ensure!(
            problem.detail.contains("POST-as-GET"),
            "{url}: {}",
            problem.detail
        );
    }
    Ok(())
}

#[tokio::test]
async fn links_lead_to_the_directory_and_from_a_challenge_up() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let (order_url, order) = acme.order_for(&account, &[fresh_name("links")]).await?;
    let authorization = &order.authorizations[0];
    let value: Value = acme.read(&account, authorization).await?.json()?;
    for challenge in value["challenges"].as_array().context("challenges")? {
        let url = challenge["url"].as_str().context("url")?;
        let answer = acme.read(&account, url).await?.expect(200)?;
        ensure!(
            answer.links("up") == [authorization.clone()],
            "{:?}",
            answer.headers
        );
    }
    for url in [&account.url, &order_url, authorization] {
        let answer = acme.read(&account, url).await?.expect(200)?;
        ensure!(
            answer.links("index") == [acme.index()],
            "{url}: {:?}",
            answer.headers
        );
    }
    let directory = Answer::read(acme.http().get(acme.index()).send().await?).await?;
    ensure!(
        directory.links("index").is_empty(),
        "the directory links to itself"
    );
    Ok(())
}

#[tokio::test]
async fn requests_fall_on_both_replicas() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let before = cluster.requests_answered().await?;
    let acme = cluster.acme().await?;
    // Each on a connection of its own: all on one replica would be a chance of one in a million million.
    for _ in 0..40 {
        acme.new_nonce().await?;
    }
    let after = cluster.requests_answered().await?;
    ensure!(after.len() == 2, "{after:?}");
    for (replica, answered) in &after {
        ensure!(
            *answered > before[replica],
            "replica {replica} got none: {before:?}, {after:?}"
        );
    }
    Ok(())
}
