//! The REST API: who gets in, who sees what, and that what is asked for twice is done once and nothing is done over what somebody
//! else has done.

pub mod client;
mod document;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_system_tests::{Cluster, Outsider, fresh_name};
use futures_util::future::try_join_all;
use http::header::WWW_AUTHENTICATE;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::client::Client;
use crate::support::succeeded;

const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);
/// Where the authority finds what the fleet shows.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 99, 0, 9);

fn text<'v>(value: &'v Value, field: &str) -> Result<&'v str> {
    value[field]
        .as_str()
        .context(format!("no {field}: {value}"))
}

/// A short name that no other test has.
fn fresh(prefix: &str) -> String {
    let name = fresh_name(prefix);
    let first = name.split('.').next().unwrap_or_default();
    first.chars().take(32).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_no_token_that_counts_is_told_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let admin = Client::new(&cluster, &cluster.admin_token()?)?;
    let made = admin
        .post(
            "/tokens",
            &json!({ "label": "short", "grants": [{ "role": "viewer" }], "days": 1 }),
        )
        .await?
        .expect(201)?;
    let (id, token) = (text(&made, "id")?, text(&made, "token")?);
    let viewer = Client::new(&cluster, token)?;
    viewer.get("/certificates").await?.expect(200)?;
    let other_secret = format!("{}x", &token[..token.len() - 1]);
    let other_id = format!("cft_{}_{}", "0".repeat(32), &token[37..]);
    for wrong in ["", "nothing", "cft_", &other_secret, &other_id] {
        let client = Client::new(&cluster, wrong)?;
        let response = client.request(Method::GET, "/certificates").send().await?;
        ensure!(response.status() == 401, "{wrong}: {}", response.status());
        ensure!(response.headers().contains_key(WWW_AUTHENTICATE), "{wrong}");
    }
    let nobody = cluster.http()?;
    let bare = nobody
        .get(format!("{}/api/v1/tokens", cluster.api()))
        .send();
    ensure!(bare.await?.status() == 401, "without a token");
    // Whoever is to ask for one has to be able to read what there is.
    let document = nobody.get(format!("{}/api/v1/openapi.json", cluster.api()));
    ensure!(document.send().await?.status() == 200, "the document");

    let listed = admin.get(&format!("/tokens/{id}")).await?.expect(200)?;
    ensure!(listed.get("token").is_none(), "{listed}");
    ensure!(listed["used_at"].is_string(), "{listed}");
    admin
        .delete(&format!("/tokens/{id}"), None)
        .await?
        .expect(204)?;
    // At both replicas, at once.
    for _ in 0..8 {
        viewer.get("/certificates").await?.expect(401)?;
    }
    admin
        .delete(&format!("/tokens/{id}"), None)
        .await?
        .expect(409)?;

    // Nothing of a token but its digest is kept.
    let secret = token.rsplit('_').next().unwrap_or_default();
    let database = cluster.database().await?;
    for (collection, document) in database.all().await? {
        let found = document.to_string().contains(secret);
        ensure!(!found, "{collection}: {document}");
    }
    Ok(())
}

/// What belongs to others is not there for it.
async fn sees_only_its_own(client: &Client) -> Result<()> {
    client.get("/upstreams/own").await?.expect(404)?;
    let seen = client.get("/projects").await?.expect(200)?;
    ensure!(seen["items"].as_array().map(Vec::len) == Some(1), "{seen}");
    let others = client.get("/certificates?project=default").await?;
    others.expect(404)?;
    let nothing = client.get("/certificates").await?.expect(200)?;
    ensure!(nothing["items"] == json!([]), "{nothing}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_its_own_people_s_and_nobody_else_s() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let admin = Client::new(&cluster, &cluster.admin_token()?)?;
    let (project, upstream) = (fresh("project"), fresh("ca"));
    let path = format!("/projects/{project}");
    admin
        .post("/projects", &json!({ "name": project, "title": "a test" }))
        .await?
        .expect(201)?;
    let token = async |role: &str| {
        let grants = json!([{ "role": role, "project": project }]);
        let made = admin
            .post("/tokens", &json!({ "label": role, "grants": grants }))
            .await?
            .expect(201)?;
        Client::new(&cluster, text(&made, "token")?)
    };
    let (viewer, operator) = (token("viewer").await?, token("operator").await?);
    let owner = token("admin").await?;

    for client in [&viewer, &operator, &owner] {
        sees_only_its_own(client).await?;
    }
    let directory = cluster.directory();
    let authority = json!({ "name": upstream, "project": project, "directory": directory });
    for client in [&viewer, &operator] {
        client.post("/upstreams", &authority).await?.expect(403)?;
        client
            .post("/projects", &json!({ "name": "x" }))
            .await?
            .expect(403)?;
        let grants =
            json!({ "label": "more", "grants": [{ "role": "viewer", "project": project }] });
        client.post("/tokens", &grants).await?.expect(403)?;
    }
    owner.post("/upstreams", &authority).await?.expect(201)?;
    // Nobody gives away what they may not do themselves.
    let everywhere = json!({ "label": "more", "grants": [{ "role": "viewer" }] });
    owner.post("/tokens", &everywhere).await?.expect(403)?;

    let name = fresh_name("web");
    let wish = |upstream: &str, project: Option<&str>| json!({ "names": [name], "upstreams": [upstream], "project": project });
    viewer
        .post("/certificates", &wish(&upstream, Some(&project)))
        .await?
        .expect(403)?;
    operator
        .post("/certificates", &wish("own", None))
        .await?
        .expect(403)?;
    // Of another project, though it is there.
    operator
        .post("/certificates", &wish("own", Some(&project)))
        .await?
        .expect(409)?;
    let made = operator
        .post("/certificates", &wish(&upstream, Some(&project)))
        .await?;
    let made = made.expect(201)?;
    let id = text(&made, "id")?;
    viewer
        .get(&format!("/certificates/{id}"))
        .await?
        .expect(200)?;
    viewer
        .post(&format!("/certificates/{id}/renew"), &json!({}))
        .await?
        .expect(403)?;
    viewer
        .delete(&format!("/certificates/{id}"), None)
        .await?
        .expect(403)?;
    let stranger = admin
        .post(
            "/tokens",
            &json!({ "label": "other", "grants": [{ "role": "admin", "project": "default" }] }),
        )
        .await?
        .expect(201)?;
    let stranger = Client::new(&cluster, text(&stranger, "token")?)?;
    stranger
        .get(&format!("/certificates/{id}"))
        .await?
        .expect(404)?;
    stranger
        .delete(&format!("/certificates/{id}"), None)
        .await?
        .expect(404)?;

    // What is in the way is said.
    let busy = admin.delete(&path, None).await?.expect(409)?;
    ensure!(text(&busy, "detail")?.contains("certificates"), "{busy}");
    let busy = owner
        .delete(&format!("/upstreams/{upstream}"), None)
        .await?;
    busy.expect(409)?;
    operator
        .delete(&format!("/certificates/{id}"), None)
        .await?
        .expect(204)?;
    owner
        .delete(&format!("/upstreams/{upstream}"), None)
        .await?
        .expect(204)?;
    admin.delete(&path, None).await?.expect(204)?;
    operator.get(&path).await?.expect(404)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_twice_is_done_once_and_nothing_over_what_somebody_else_did() -> Result<()>
{
    let cluster = Cluster::shared().await?;
    let admin = Client::new(&cluster, &cluster.admin_token()?)?;
    let key = fresh("key");
    let name = fresh_name("once");
    let wish = json!({ "names": [name], "upstreams": ["own"] });
    let asked = |wish: &Value| {
        let request = admin.request(Method::POST, "/certificates");
        request.header("Idempotency-Key", &key).json(wish)
    };
    let answers = (0..16).map(|_| Client::send(asked(&wish)));
    let answers = try_join_all(answers).await?;
    let mut ids = Vec::new();
    for answer in answers {
        let made = answer.expect(201)?;
        ids.push(text(&made, "id")?.to_owned());
    }
    ids.dedup();
    ensure!(ids.len() == 1, "{ids:?}");
    let database = cluster.database().await?;
    let there = database
        .count("managed_certificates", doc! { "names": &name })
        .await?;
    ensure!(there == 1, "{there}");
    let other = json!({ "names": [fresh_name("other")], "upstreams": ["own"] });
    Client::send(asked(&other)).await?.expect(409)?;

    let path = format!("/certificates/{}", ids[0]);
    named_things_too(&cluster, &admin, &path).await?;
    let seen = admin.get(&path).await?;
    let tag = seen.etag.clone().context("no ETag")?;
    let more = json!({ "names": [name, fresh_name("more")] });
    let at_once = (0..8).map(|_| admin.patch(&path, &more, Some(&tag)));
    let statuses: Vec<u16> = try_join_all(at_once)
        .await?
        .into_iter()
        .map(|answer| answer.status)
        .collect();
    // A worker may have been faster than all of them.
    let done = statuses.iter().filter(|status| **status == 200).count();
    let late = statuses.iter().filter(|status| **status == 412).count();
    ensure!(done <= 1 && done + late == 8, "{statuses:?}");
    // Whoever means what it is by now gets through.
    let changed = admin.patch(&path, &more, None).await?.expect(200)?;
    ensure!(
        changed["names"].as_array().map(Vec::len) == Some(2),
        "{changed}"
    );
    admin.delete(&path, Some(&tag)).await?.expect(412)?;
    admin
        .delete(&path, Some("\"nothing of ours\""))
        .await?
        .expect(412)?;
    admin.delete(&path, Some("*")).await?.expect(204)?;
    admin.delete(&path, Some("*")).await?.expect(404)?;
    Ok(())
}

/// What has a name of its own, or goes with something that others change, is in its own way when it is asked for twice.
async fn named_things_too(cluster: &Cluster, admin: &Client, certificate: &str) -> Result<()> {
    let upstream = fresh("twice");
    let authority = json!({ "name": upstream, "directory": cluster.directory() });
    let watches = format!("{certificate}/watches");
    let watch = json!({ "endpoint": "localhost:1" });
    for (path, wish) in [("/upstreams", &authority), (watches.as_str(), &watch)] {
        let key = fresh("key");
        let asked = || {
            let request = admin.request(Method::POST, path);
            Client::send(request.header("Idempotency-Key", &key).json(wish))
        };
        let answers = try_join_all((0..16).map(|_| asked())).await?;
        let mut made = Vec::new();
        for answer in answers {
            made.push(answer.expect(201)?.to_string());
        }
        made.dedup();
        ensure!(made.len() == 1, "{made:?}");
    }
    let gone = format!("/upstreams/{upstream}");
    admin.delete(&gone, None).await?.expect(204)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_had_changed_and_removed_with_its_keys() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let home = tempfile::tempdir()?;
    let mut api = Outsider::proving(&cluster, ADDRESS, home.path()).await?;
    let admin = Client::new(&cluster, &cluster.admin_token()?)?;
    let names = [fresh_name("had"), fresh_name("had")];
    for name in &names {
        cluster.answers().add_address(name, ADDRESS.into());
    }
    let wish = json!({ "names": [names[0]], "upstreams": ["own"] });
    let made = admin.post("/certificates", &wish).await?.expect(201)?;
    let path = format!("/certificates/{}", text(&made, "id")?);
    let first = until(&admin, &path, |view| view["status"] == "valid").await?;

    let change = json!({ "names": names });
    admin.patch(&path, &change, None).await?.expect(200)?;
    let second = until(&admin, &path, |view| {
        view["serial"] != first["serial"] && view["course"] == "resting"
    })
    .await?;
    let versions = format!("{path}/versions");
    let had = admin.get(&versions).await?.expect(200)?;
    let had: Vec<String> = had["items"]
        .as_array()
        .context("no versions")?
        .iter()
        .filter_map(|version| version["id"].as_str().map(str::to_owned))
        .collect();
    ensure!(had.len() == 2, "{had:?}");
    let chain = format!("{versions}/{}/chain", had[1]);
    let chain = admin
        .request(Method::GET, &chain)
        .send()
        .await?
        .text()
        .await?;
    let chain = pem::parse_many(&chain)?;
    let leaf = chain.first().context("no chain")?;
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf.contents())?;
    let san = leaf.subject_alternative_name()?.context("no names")?;
    ensure!(san.value.general_names.len() == 2, "{second}");

    let found = admin
        .get(&format!("/certificates?name={}", names[1]))
        .await?
        .expect(200)?;
    ensure!(found["items"][0]["id"] == made["id"], "{found}");
    let next = "/certificates?expires_before=2099-01-01T00:00:00Z&limit=1";
    let page = admin.get(next).await?.expect(200)?;
    ensure!(page["items"].as_array().map(Vec::len) == Some(1), "{page}");

    let keys: Vec<String> = had.iter().map(|id| format!("managed-key/{id}")).collect();
    let database = cluster.database().await?;
    let sealed = doc! { "_id": { "$in": &keys } };
    ensure!(
        database.count("secrets", sealed.clone()).await? == 2,
        "the keys"
    );
    // In the middle of a renewal.
    admin
        .post(&format!("{path}/renew"), &json!({}))
        .await?
        .expect(202)?;
    admin.delete(&path, None).await?.expect(204)?;
    admin.get(&path).await?.expect(404)?;
    ensure!(
        database.count("secrets", sealed).await? == 0,
        "the keys stay"
    );
    let id = text(&made, "id")?;
    // Whoever had it in hand finds it gone, and makes nothing more.
    let jobs = doc! { "_id": { "$regex": id }, "state": { "$in": ["queued", "leased"] } };
    let began = Instant::now();
    while database.count("jobs", jobs.clone()).await? > 0 {
        ensure!(began.elapsed() < PATIENCE, "its renewal goes on");
        sleep(PAUSE).await;
    }
    ensure!(
        database
            .count("jobs", doc! { "_id": { "$regex": id }, "state": "dead" })
            .await?
            == 0,
        "a dead job"
    );
    for (collection, field) in [
        ("managed_certificates", "_id"),
        ("managed_versions", "managed"),
    ] {
        let left = database.count(collection, doc! { field: id }).await?;
        ensure!(left == 0, "{left} in {collection}");
    }
    succeeded(&cluster.certfleet(&["audit", "verify"])?)?;
    api.end().await?;
    Ok(())
}

/// What is shown at this path, as soon as it is as it should be.
async fn until(client: &Client, path: &str, right: impl Fn(&Value) -> bool) -> Result<Value> {
    let began = Instant::now();
    loop {
        let view = client.get(path).await?.expect(200)?;
        if right(&view) {
            return Ok(view);
        }
        ensure!(began.elapsed() < PATIENCE, "{view}");
        sleep(PAUSE).await;
    }
}
