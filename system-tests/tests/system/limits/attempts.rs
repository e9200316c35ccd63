//! Attempts at challenges: those that fail are limited, and names that keep failing are paused.

use anyhow::{Context as _, Result, ensure};
use certfleet_acme::messages::AuthorizationResponse;
use certfleet_system_tests::acme::{Account, Acme, Answer, Proof};
use certfleet_system_tests::{Cluster, fresh_name};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::{Replicas, let_through, require_refused, wish};
use crate::support::{refused, succeeded};

/// Waits until an authorization is decided; gives how.
async fn decided(acme: &Acme, account: &Account, url: &str) -> Result<String> {
    let within = std::time::Duration::from_secs(60);
    let value = acme
        .read_until(account, url, within, |value| value["status"] != "pending")
        .await?;
    Ok(value["status"].as_str().unwrap_or_default().to_owned())
}

/// A new authorization for a name: its URL, and that of its http-01 challenge.
async fn authorization(acme: &Acme, account: &Account, name: &str) -> Result<(String, String)> {
    let url = acme.directory().new_authz.clone().context("no newAuthz")?;
    let wish = json!({ "identifier": { "type": "dns", "value": name } });
    let answer = acme.post(account, &url, &wish).await?.expect(201)?;
    let found: AuthorizationResponse = answer.json()?;
    let challenge = found
        .challenges
        .iter()
        .find(|challenge| challenge.kind == Proof::Http01.name())
        .context("no http-01")?;
    Ok((answer.location()?, challenge.url.clone()))
}

#[tokio::test]
async fn exactly_so_many_failures_and_successes_count_for_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let replicas = Replicas::start(&cluster, "failed_validations: 3/1h").await?;
    let clients = replicas.clients(&cluster).await?;
    let accounts = replicas.account(&clients).await?;
    let (acme, account) = (&clients[0], &accounts[0]);
    let name = fresh_name("attempts");
    for _ in 0..5 {
        let (url, _) = authorization(acme, account, &name).await?;
        acme.prove(account, &url, Proof::Http01, cluster.answers())
            .await?;
    }

    // One after another, then all at once over both replicas: nobody answers these.
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(authorization(acme, account, &name).await?);
    }
    let asked = open
        .iter()
        .enumerate()
        .map(async |(index, (_, challenge))| {
            let (client, account) = (&clients[index % 2], &accounts[index % 2]);
            let url = match index % 2 {
                0 => challenge.clone(),
                _ => replicas.url_at_other(challenge),
            };
            client.post(account, &url, &json!({})).await
        });
    let answers: Vec<Answer> = try_join_all(asked).await?;
    let through = let_through(&answers, 200, "failed_validations")?;
    ensure!(through == 3, "{through} attempts");
    let mut statuses = Vec::new();
    for ((url, _), answer) in open.iter().zip(&answers) {
        if answer.status == 200 {
            statuses.push(decided(acme, account, url).await?);
        }
    }
    ensure!(statuses == ["invalid"; 3], "{statuses:?}");

    // The names are told apart in an order of several.
    let other = fresh_name("attempts");
    let both = acme
        .post(account, &acme.directory().new_order, &wish(&[&other]))
        .await?;
    both.expect(201)?;
    let fresh = acme.new_account().await?;
    acme.order_for(&fresh, &[&name]).await?;
    Ok(())
}

#[tokio::test]
async fn a_name_that_keeps_failing_is_paused_until_a_person_lifts_it() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let replicas = Replicas::start(&cluster, "pause_after: 2").await?;
    let clients = replicas.clients(&cluster).await?;
    let accounts = replicas.account(&clients).await?;
    let (acme, account) = (&clients[0], &accounts[0]);
    let name = fresh_name("zombie");
    let id = account.url.rsplit('/').next().context("an id")?;
    let left = authorization(acme, account, &name).await?;
    for _ in 0..2 {
        let (url, challenge) = authorization(acme, account, &name).await?;
        acme.post(account, &challenge, &json!({}))
            .await?
            .expect(200)?;
        let status = decided(acme, account, &url).await?;
        ensure!(status == "invalid", "{status}");
    }

    let command = format!("certfleet limits lift {id} {name}");
    for (client, account) in clients.iter().zip(&accounts) {
        let url = &client.directory().new_order;
        let answer = client.post(account, url, &wish(&[&name])).await?;
        require_refused(&answer, &command)?;
        let named = answer.problem()?.identifier.context("no identifier")?.value;
        ensure!(named == name, "{named}");
    }
    let answer = acme.post(account, &left.1, &json!({})).await?;
    require_refused(&answer, "pause_after")?;

    let told = |arguments: &[&str]| -> Result<Value> {
        let said = succeeded(&cluster.certfleet(arguments)?)?;
        Ok(serde_json::from_str(&said)?)
    };
    let list = told(&["limits", "list", "--json"])?;
    let of_it: Vec<&Value> = list
        .as_array()
        .context("no list")?
        .iter()
        .filter(|pause| pause["account"] == id)
        .collect();
    ensure!(of_it.len() == 1, "{list}");
    ensure!(
        of_it[0]["name"] == name && of_it[0]["failures"] == 2,
        "{list}"
    );
    let lifted = told(&["limits", "lift", id, &name, "--json"])?;
    ensure!(lifted["lifted"] == name, "{lifted}");
    let twice = cluster.certfleet(&["limits", "lift", id, &name])?;
    ensure!(twice.status.code() == Some(3), "{}", refused(&twice)?);

    // A success ends the row: two more failures in a row are due.
    acme.prove(account, &left.0, Proof::Http01, cluster.answers())
        .await?;
    Ok(())
}
