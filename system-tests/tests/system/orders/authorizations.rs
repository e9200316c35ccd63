//! Authorizations (RFC 8555 §7.5): proven once and used again, made beforehand, given up, failed.

use anyhow::{Context as _, Result, ensure};
use certfleet_acme::messages::{AuthorizationResponse, OrderResponse};
use certfleet_domain::ProblemKind::{IncorrectResponse, Malformed, OrderNotReady, Unauthorized};
use certfleet_domain::{AuthorizationStatus, OrderStatus};
use certfleet_system_tests::acme::{Account, Acme, Answer, Csr, Proof};
use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::{Value, json};

async fn authorization(acme: &Acme, account: &Account, url: &str) -> Result<AuthorizationResponse> {
    acme.read(account, url).await?.expect(200)?.json()
}

async fn deactivate(acme: &Acme, account: &Account, url: &str) -> Result<Answer> {
    acme.post(account, url, &json!({ "status": "deactivated" }))
        .await
}

#[tokio::test]
async fn a_proven_name_is_proven_for_the_next_order_of_the_same_account() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let names = [fresh_name("reuse"), fresh_name("reuse")];
    let (_, first) = acme
        .ready_order(&account, &names, cluster.answers())
        .await?;
    let (url, second) = acme.order_for(&account, &names).await?;
    ensure!(second.status == OrderStatus::Ready, "{:?}", second.status);
    ensure!(
        second.authorizations == first.authorizations,
        "other authorizations"
    );
    acme.complete(&account, &url, &second, Csr::new(&names)?)
        .await?;

    // With one more, that one alone is to be proven.
    let more = [names[0].clone(), names[1].clone(), fresh_name("reuse")];
    let (_, third) = acme.order_for(&account, &more).await?;
    ensure!(third.status == OrderStatus::Pending, "{:?}", third.status);
    let known = third
        .authorizations
        .iter()
        .filter(|url| first.authorizations.contains(url))
        .count();
    ensure!(
        (known, third.authorizations.len()) == (2, 3),
        "{known} are known"
    );

    // To another account it says nothing.
    let other = acme.new_account().await?;
    let (_, foreign) = acme.order_for(&other, &names).await?;
    ensure!(
        foreign.status == OrderStatus::Pending,
        "{:?}",
        foreign.status
    );
    Ok(())
}

#[tokio::test]
async fn a_name_can_be_proven_before_it_is_ordered() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = fresh_name("beforehand");
    let url = acme.directory().new_authz.clone().context("newAuthz")?;
    let wish = json!({ "identifier": { "type": "dns", "value": name } });
    let answer = acme.post(&account, &url, &wish).await?.expect(201)?;
    let location = answer.location()?;
    acme.prove(&account, &location, Proof::Http01, cluster.answers())
        .await?;
    let (_, order) = acme.order_for(&account, &[&name]).await?;
    ensure!(order.status == OrderStatus::Ready, "{:?}", order.status);
    ensure!(
        order.authorizations == [location],
        "{:?}",
        order.authorizations
    );

    for (identifier, kind) in [
        (
            json!({ "type": "dns", "value": format!("*.{name}") }),
            Malformed,
        ),
        (json!({ "type": "dns", "value": "no name" }), Malformed),
        (
            json!({ "type": "email", "value": "a@b.example" }),
            certfleet_domain::ProblemKind::UnsupportedIdentifier,
        ),
    ] {
        acme.post(&account, &url, &json!({ "identifier": identifier }))
            .await?
            .expect_problem(400, kind)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_authorization_that_is_given_up_takes_its_orders_with_it() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = [fresh_name("given-up")];
    let (url, order) = acme.ready_order(&account, &name, cluster.answers()).await?;
    let proven = &order.authorizations[0];
    acme.post(&account, proven, &json!({ "status": "valid" }))
        .await?
        .expect_problem(400, Malformed)?;
    let given_up: Value = deactivate(&acme, &account, proven)
        .await?
        .expect(200)?
        .json()?;
    ensure!(given_up["status"] == "deactivated", "{given_up}");
    deactivate(&acme, &account, proven)
        .await?
        .expect_problem(400, Malformed)?;

    let read: OrderResponse = acme.read(&account, &url).await?.expect(200)?.json()?;
    ensure!(read.status == OrderStatus::Invalid, "{:?}", read.status);
    let csr = Csr::new(&name)?;
    acme.finalize(&account, &order, &csr.der)
        .await?
        .expect_problem(403, OrderNotReady)?;

    // The next order starts anew; a pending one can be given up as well.
    let (_, next) = acme.order_for(&account, &name).await?;
    ensure!(
        next.status == OrderStatus::Pending && next.authorizations[0] != *proven,
        "{next:?}"
    );
    deactivate(&acme, &account, &next.authorizations[0])
        .await?
        .expect(200)?;
    let after = authorization(&acme, &account, &next.authorizations[0]).await?;
    ensure!(
        after.status == AuthorizationStatus::Deactivated,
        "{after:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_wrong_answer_fails_the_challenge_the_authorization_and_the_order() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = [fresh_name("failed")];
    let (url, order) = acme.order_for(&account, &name).await?;
    let pending = authorization(&acme, &account, &order.authorizations[0]).await?;
    let challenge = pending
        .challenges
        .iter()
        .find(|challenge| challenge.kind == "http-01")
        .context("no http-01")?;
    let token = challenge.token.clone().context("no token")?;
    // The key authorization of another account's key.
    cluster
        .answers()
        .add_http01(&token, &format!("{token}.{}", "A".repeat(43)));
    acme.post(&account, &challenge.url, &json!({}))
        .await?
        .expect(200)?;
    let decided = |value: &Value| value["status"] != "pending";
    let within = std::time::Duration::from_secs(30);
    let failed = acme
        .read_until(&account, &order.authorizations[0], within, decided)
        .await?;
    ensure!(failed["status"] == "invalid", "{failed}");
    let challenges = failed["challenges"].as_array().context("challenges")?;
    ensure!(
        challenges.len() == 1,
        "only the one that decided is due: {failed}"
    );
    let error = &challenges[0]["error"];
    let urns = [IncorrectResponse.urn(), Unauthorized.urn()];
    ensure!(urns.iter().any(|urn| error["type"] == **urn), "{error}");
    let list = format!("{}/orders", account.url);
    let list: Value = acme.read(&account, &list).await?.expect(200)?.json()?;
    ensure!(
        list["orders"] == json!([]),
        "failed orders are no use: {list}"
    );
    ensure!(
        error["detail"]
            .as_str()
            .is_some_and(|detail| detail.len() > 20),
        "{error}"
    );

    let read: OrderResponse = acme.read(&account, &url).await?.expect(200)?.json()?;
    ensure!(read.status == OrderStatus::Invalid, "{:?}", read.status);
    let csr = Csr::new(&name)?;
    acme.finalize(&account, &order, &csr.der)
        .await?
        .expect_problem(403, OrderNotReady)?;
    // A challenge that is decided stays so; asking again shows it.
    let again: Value = acme
        .post(&account, &challenge.url, &json!({}))
        .await?
        .expect(200)?
        .json()?;
    ensure!(again["status"] == "invalid", "{again}");
    Ok(())
}

#[tokio::test]
async fn nothing_of_another_account_is_there_for_one() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let (owner, stranger) = (acme.new_account().await?, acme.new_account().await?);
    let names = [fresh_name("own")];
    let issued = acme.issue(&owner, &names, cluster.answers()).await?;
    let (pending_url, pending) = acme.order_for(&owner, &[fresh_name("own")]).await?;
    let authorization_url = &pending.authorizations[0];
    let challenge = authorization(&acme, &owner, authorization_url)
        .await?
        .challenges[0]
        .url
        .clone();

    let alternate = format!("{}/1", issued.url);
    for url in [
        &pending_url,
        authorization_url,
        &challenge,
        &issued.order_url,
        &issued.url,
        &alternate,
    ] {
        acme.read(&owner, url).await?.expect(200)?;
        acme.read(&stranger, url)
            .await?
            .expect_problem(404, Malformed)?;
    }
    let csr = Csr::new(&names)?;
    acme.post(&stranger, &challenge, &json!({}))
        .await?
        .expect_problem(404, Malformed)?;
    deactivate(&acme, &stranger, authorization_url)
        .await?
        .expect_problem(404, Malformed)?;
    acme.finalize(&stranger, &issued.order, &csr.der)
        .await?
        .expect_problem(404, Malformed)?;
    // What is not there at all looks the same.
    for url in [&pending_url, authorization_url, &challenge, &issued.url] {
        let (base, id) = url.rsplit_once('/').context("URL")?;
        let mirrored: String = id.chars().rev().collect();
        acme.read(&owner, &format!("{base}/{mirrored}"))
            .await?
            .expect_problem(404, Malformed)?;
        acme.read(&owner, &format!("{base}/nonsense"))
            .await?
            .expect_problem(404, Malformed)?;
    }
    Ok(())
}
