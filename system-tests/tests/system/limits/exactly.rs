//! Exactly so many, over all replicas.

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_acme::SigningKey;
use certfleet_domain::ProblemKind;
use certfleet_system_tests::acme::Answer;
use certfleet_system_tests::{Cluster, fresh_name};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Replicas, let_through, order_all, require_refused, wish};

/// So many ask at once, where fewer get through.
const ASK: usize = 30;

fn fresh_wishes(topic: &str) -> Vec<Value> {
    (0..ASK).map(|_| wish(&[fresh_name(topic)])).collect()
}

#[tokio::test]
async fn accounts_of_one_address() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let limits = "accounts_per_address: 7/1h";
    let replicas = Replicas::start(&cluster, limits).await?;
    let clients = replicas.clients_from(&cluster, [127, 88, 0, 1]).await?;
    let payload = json!({ "termsOfServiceAgreed": true });
    let keys: Vec<SigningKey> = (0..ASK)
        .map(|_| SigningKey::generate_p256())
        .collect::<Result<_, _>>()?;
    let asked = keys.iter().enumerate().map(async |(index, key)| {
        let client = &clients[index % 2];
        let url = &client.directory().new_account;
        client.post_by_key(key, url, &payload).await
    });
    let answers: Vec<Answer> = try_join_all(asked).await?;
    let through = let_through(&answers, 201, "accounts_per_address")?;
    ensure!(through == 7, "{through} accounts");
    // One that is there is found, and costs nothing.
    let made = answers.iter().position(|answer| answer.status == 201);
    let key = &keys[made.context("none")?];
    for client in &clients {
        let url = &client.directory().new_account;
        client.post_by_key(key, url, &payload).await?.expect(200)?;
    }
    let counted = replicas
        .counted(
            "certfleet_rate_limit_admitted_total",
            "accounts_per_address",
        )
        .await?;
    ensure!(counted == 7, "{counted}");
    let refused = replicas
        .counted("certfleet_rate_limited_total", "accounts_per_address")
        .await?;
    ensure!(refused == 23, "{refused}");
    let elsewhere = replicas.clients_from(&cluster, [127, 88, 0, 2]).await?;
    elsewhere[0].new_account().await?;
    Ok(())
}

#[tokio::test]
async fn orders_of_one_account_and_none_is_made_that_is_refused() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let replicas = Replicas::start(&cluster, "orders_per_account: 7/1h").await?;
    let clients = replicas.clients(&cluster).await?;
    let (limited, other) = (
        replicas.account(&clients).await?,
        replicas.account(&clients).await?,
    );
    // A request under a spent nonce is charged nothing, neither where it is known nor elsewhere.
    let [client, second] = &clients;
    let url = &client.directory().new_order;
    let nonce = client.new_nonce().await?;
    for (replica, account) in [(client, &limited[0]), (second, &limited[1])].repeat(3) {
        let url = &replica.directory().new_order;
        let payload = wish(&[fresh_name("nonce")]).to_string();
        let body =
            account
                .key
                .sign_request(&account.kid(), Some(&nonce), url, payload.as_bytes())?;
        let answer = replica.send(url, body).await?;
        if answer.status != 201 {
            answer.expect_problem(400, ProblemKind::BadNonce)?;
        }
    }
    // Nor is one that asks for what cannot be.
    for _ in 0..3 {
        let answer = client.post(&limited[0], url, &wish(&["a_b.test"])).await?;
        ensure!(answer.status == 400, "{}", answer.text());
    }
    let answers = order_all(&clients, &[&limited], &fresh_wishes("account")).await?;
    let through = let_through(&answers, 201, "orders_per_account")?;
    ensure!(through == 6, "{through} orders after the first");
    let new_authz = client
        .directory()
        .new_authz
        .clone()
        .context("no newAuthz")?;
    let single = json!({ "identifier": { "type": "dns", "value": fresh_name("account") } });
    let refused = client.post(&limited[0], &new_authz, &single).await?;
    require_refused(&refused, "orders_per_account")?;

    let id = limited[0].url.rsplit('/').next().context("an id")?;
    let database = cluster.database().await?;
    for made in ["orders", "authorizations"] {
        let made = database.count(made, doc! { "account": id }).await?;
        ensure!(made == 7, "{made} are in the database");
    }
    client
        .order_for(&other[0], &[fresh_name("account")])
        .await?;
    Ok(())
}

#[tokio::test]
async fn orders_of_one_registered_domain_whoever_orders() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let replicas = Replicas::start(&cluster, "orders_per_domain: 7/1h").await?;
    let clients = replicas.clients(&cluster).await?;
    let (one, other) = (
        replicas.account(&clients).await?,
        replicas.account(&clients).await?,
    );
    let wishes: Vec<Value> = (0..ASK)
        .map(|index| {
            wish(&[
                format!("a{index}.limited.test"),
                format!("b{index}.limited.test"),
            ])
        })
        .collect();
    let answers = order_all(&clients, &[&one, &other], &wishes).await?;
    let through = let_through(&answers, 201, "orders_per_domain")?;
    ensure!(through == 7, "{through} orders");
    let refused = answers.iter().find(|answer| answer.status == 429);
    let problem = refused.context("none is refused")?.problem()?;
    let named = problem.identifier.context("no identifier")?.value;
    ensure!(named.ends_with(".limited.test"), "{named}");
    // Of an order in two domains that one refuses, the other is charged nothing but the time for which that was under way:
    // the last of its orders may be refused for some seconds, and not for the nine minutes of a charge.
    let mixed = wish(&["a.limited.test", "a.unlimited.test"]);
    let answers = order_all(&clients, &[&one], &vec![mixed; 10]).await?;
    ensure!(let_through(&answers, 201, "orders_per_domain")? == 0);
    let wishes: Vec<Value> = (0..ASK)
        .map(|index| wish(&[format!("a{index}.unlimited.test")]))
        .collect();
    let answers = order_all(&clients, &[&other], &wishes).await?;
    let through = let_through(&answers, 201, "orders_per_domain")?;
    let soonest = answers.iter().filter_map(Answer::retry_after).min();
    let soonest = soonest.context("no Retry-After")?;
    ensure!(
        through == 7 || (through == 6 && soonest.as_secs() < 60),
        "{through} orders of the other domain, the next in {soonest:?}"
    );
    Ok(())
}

#[tokio::test]
async fn orders_for_exactly_the_same_names() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let replicas = Replicas::start(&cluster, "orders_per_name_set: 7/1h").await?;
    let clients = replicas.clients(&cluster).await?;
    let (one, other) = (
        replicas.account(&clients).await?,
        replicas.account(&clients).await?,
    );
    let (a, b) = (fresh_name("set"), fresh_name("set"));
    let wishes: Vec<Value> = (0..ASK)
        .map(|index| {
            if index % 3 == 0 {
                wish(&[&a, &b])
            } else {
                wish(&[&b, &a])
            }
        })
        .collect();
    let answers = order_all(&clients, &[&one, &other], &wishes).await?;
    let through = let_through(&answers, 201, "orders_per_name_set")?;
    ensure!(through == 7, "{through} orders");
    clients[0].order_for(&one[0], &[&a]).await?;
    Ok(())
}

#[tokio::test]
async fn who_waits_as_long_as_told_gets_through_and_a_reload_switches() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let replicas = Replicas::start(&cluster, "").await?;
    let clients = replicas.clients(&cluster).await?;
    let account = replicas.account(&clients).await?;
    let wishes = fresh_wishes("reload");
    let answers = order_all(&clients, &[&account], &wishes).await?;
    ensure!(let_through(&answers, 201, "")? == ASK, "no limit is on");

    replicas.reload("orders_per_account: 2/40s").await?;
    let answers = order_all(&clients, &[&account], &wishes).await?;
    let through = let_through(&answers, 201, "orders_per_account")?;
    ensure!(through == 2, "{through} orders");
    let waits = answers.iter().filter_map(Answer::retry_after);
    let wait = waits.max().context("no Retry-After")?;
    ensure!(wait.as_secs() <= 20, "{wait:?}");
    sleep(wait).await;
    let answers = order_all(&clients, &[&account], &wishes).await?;
    let through = let_through(&answers, 201, "orders_per_account")?;
    ensure!(through == 1, "{through} orders after {wait:?}");

    replicas.reload("orders_per_account: off").await?;
    let answers = order_all(&clients, &[&account], &wishes).await?;
    ensure!(let_through(&answers, 201, "")? == ASK, "it is off");
    Ok(())
}
