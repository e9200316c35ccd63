//! How long it takes through the REST API to list, filter and search an inventory, whatever its size.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bson::{DateTime, Document, doc};
use certfleet_domain::{
    Clock as _, Current, Identifier, Managed, ManagedId, SystemClock, SystemRng, UpstreamName,
    VersionId,
};
use comfy_table::Table;
use futures_util::future::try_join_all;
use rand::RngCore as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::ground::Ground;
use crate::say;

const MANAGED: &str = "managed_certificates";
/// So many documents are inserted at once.
const TOGETHER: u32 = 5000;
/// So many certificates have a name below the same domain.
const OF_A_DOMAIN: u32 = 200;
const PROJECTS: u32 = 20;
/// One of so many has failed.
const FAILING: u32 = 100;
/// So many clients ask at the same time, each so often.
const CLIENTS: u32 = 4;
const REQUESTS: u32 = 100;
const DAY: i64 = 86_400_000;

/// What is asked for, and its path.
type Ask<'a> = (&'static str, Box<dyn Fn(u32) -> String + Sync + 'a>);

/// Measures it.
pub async fn measure(ground: &Ground, rows: &[u32], table: &mut Table) -> Result<()> {
    table.set_header([
        "asked for, 50 on a page",
        "certificates",
        "p50",
        "p99",
        "most",
    ]);
    let model = model(ground).await?;
    let mut ids: Vec<String> = Vec::new();
    let everything = ground.cluster.admin_token()?;
    let of_one = token_of_project(ground, &everything).await?;
    for wanted in rows {
        add(ground, &model, &mut ids, *wanted).await?;
        say(&format!("{} rows", ids.len()))?;
        for (what, path) in asks(&ids) {
            let took = ask(ground, &everything, &path).await?;
            table.add_row(row(what, ids.len(), &took));
        }
        let took = ask(ground, &of_one, &|_| "/certificates".to_owned()).await?;
        table.add_row(row("what one project's token sees", ids.len(), &took));
    }
    let memory = ground.most_memory("api")?;
    say(&format!("memory of an API replica, the most: {memory} MiB"))
}

fn asks(ids: &[String]) -> Vec<Ask<'_>> {
    let any = |salt: u32| {
        let mixed = usize::try_from(salt.wrapping_mul(2_654_435_761)).unwrap_or_default();
        mixed % ids.len()
    };
    let behind = move |salt| {
        let id = ids.get(any(salt)).map_or("", String::as_str);
        URL_SAFE_NO_PAD.encode(format!("- {id}"))
    };
    let domain = move |salt| format!("d{}.fleet.test", any(salt) / OF_A_DOMAIN as usize);
    let soon = (SystemClock.now() + time::Duration::days(7))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    vec![
        (
            "one, by its id",
            Box::new(move |salt| {
                format!(
                    "/certificates/{}",
                    ids.get(any(salt)).map_or("", String::as_str)
                )
            }),
        ),
        (
            "all, the first page",
            Box::new(|_| "/certificates".to_owned()),
        ),
        (
            "all, a page somewhere",
            Box::new(move |salt| format!("/certificates?cursor={}", behind(salt))),
        ),
        (
            "of a project, somewhere",
            Box::new(move |salt| {
                format!(
                    "/certificates?project=p{}&cursor={}",
                    salt % PROJECTS,
                    behind(salt)
                )
            }),
        ),
        (
            "failing, somewhere",
            Box::new(move |salt| format!("/certificates?failing=true&cursor={}", behind(salt))),
        ),
        (
            "from one authority, somewhere",
            Box::new(move |salt| format!("/certificates?upstream=other&cursor={}", behind(salt))),
        ),
        (
            "that expire within a week, the soonest",
            Box::new(move |_| format!("/certificates?expires_before={soon}")),
        ),
        (
            "with one name",
            Box::new(move |salt| {
                let number = any(salt);
                format!(
                    "/certificates?name=h{number}.d{}.fleet.test",
                    number / OF_A_DOMAIN as usize
                )
            }),
        ),
        (
            "below a domain with 200",
            Box::new(move |salt| format!("/certificates?name={}", domain(salt))),
        ),
        (
            "below a domain with all of them",
            Box::new(|_| "/certificates?name=fleet.test".to_owned()),
        ),
        (
            "failing, below a domain with 200",
            Box::new(move |salt| format!("/certificates?failing=true&name={}", domain(salt))),
        ),
    ]
}

/// How long each request took, the shortest first.
async fn ask(
    ground: &Ground,
    token: &str,
    path: &(dyn Fn(u32) -> String + Sync),
) -> Result<Vec<Duration>> {
    let clients = (0..CLIENTS).map(|client| async move {
        let http = ground.cluster.http_builder()?.build()?;
        let mut took = Vec::new();
        for number in 0..REQUESTS + 5 {
            let salt = SystemRng.next_u32().wrapping_add(client);
            let url = format!("{}/api/v1{}", ground.cluster.api(), path(salt));
            let began = Instant::now();
            let answer = http.get(&url).bearer_auth(token).send().await?;
            let status = answer.status();
            let body = answer.text().await?;
            // The first few open connections.
            if number >= 5 {
                took.push(began.elapsed());
            }
            ensure!(status.is_success(), "{url}: {status}: {body}");
        }
        Ok::<_, anyhow::Error>(took)
    });
    let mut took = try_join_all(clients).await?.concat();
    took.sort_unstable();
    Ok(took)
}

fn row(what: &str, there: usize, took: &[Duration]) -> [String; 5] {
    let at = |percent: usize| {
        let index = (took.len() * percent / 100).min(took.len().saturating_sub(1));
        let took = took.get(index).copied().unwrap_or_default();
        format!("{:.1} ms", took.as_secs_f64() * 1000.0)
    };
    [what.to_owned(), there.to_string(), at(50), at(99), at(100)]
}

/// One that has a certificate, as a document.
async fn model(ground: &Ground) -> Result<Document> {
    let upstream: UpstreamName = "own".parse()?;
    let now = SystemClock.now();
    let name: Identifier = "model.fleet.test".parse()?;
    let id = ManagedId::generate(&SystemClock, &mut SystemRng);
    let managed = Managed::new(id, vec![name.clone()], vec![upstream.clone()], now);
    let current = Current {
        version: VersionId::generate(&SystemClock, &mut SystemRng),
        upstream,
        cert_id: None,
        serial: "00112233445566778899aabbccddeeff".to_owned(),
        names: vec![name],
        not_before: now,
        not_after: now + time::Duration::days(90),
        advice: None,
        ask_at: now + time::Duration::days(90),
    };
    let managed = Managed {
        current: Some(current),
        // Nobody is to look at any of them meanwhile.
        next_at: now + time::Duration::days(365),
        ..managed
    };
    ground
        .store
        .commit(ground.store.fleet.insert(&managed)?)
        .await?;
    let documents = ground.collection(MANAGED);
    let found = documents.find_one_and_delete(doc! { "_id": id.to_string() });
    found.await?.context("nothing was added")
}

async fn add(ground: &Ground, model: &Document, ids: &mut Vec<String>, wanted: u32) -> Result<()> {
    let documents = ground.collection(MANAGED);
    let mut there = u32::try_from(ids.len())?;
    while there < wanted {
        let some = TOGETHER.min(wanted - there);
        let batch: Vec<Document> = (there..there + some)
            .map(|number| {
                let id = ManagedId::generate(&SystemClock, &mut SystemRng).to_string();
                ids.push(id.clone());
                another(model, &id, number)
            })
            .collect();
        documents.insert_many(batch).await?;
        there += some;
    }
    ids.sort_unstable();
    Ok(())
}

fn another(model: &Document, id: &str, number: u32) -> Document {
    let mut other = model.clone();
    let domain = number / OF_A_DOMAIN;
    let now = DateTime::now().timestamp_millis();
    let end = now + i64::from(number.wrapping_mul(7919) % 90) * DAY + i64::from(number);
    other.insert("_id", id);
    other.insert("project", format!("p{}", number % PROJECTS));
    other.insert("names", vec![format!("h{number}.d{domain}.fleet.test")]);
    other.insert("search", vec![format!("test.fleet.d{domain}.h{number}")]);
    if number.is_multiple_of(3) {
        other.insert("upstreams", vec!["other", "own"]);
    }
    if number.is_multiple_of(FAILING) {
        let retry_at = DateTime::from_millis(now + 365 * DAY);
        let why = "the authority cannot reach it";
        let setback =
            doc! { "failures": 4_i64, "put_off": 0_i64, "why": why, "retry_at": retry_at };
        other.insert("setback", setback);
    }
    if let Ok(current) = other.get_document_mut("current") {
        current.insert("not_after", DateTime::from_millis(end));
    }
    other
}

/// A token that sees one project.
async fn token_of_project(ground: &Ground, everything: &str) -> Result<String> {
    let http = ground.cluster.http()?;
    let post = async |path: &str, body: Value| {
        let url = format!("{}/api/v1{path}", ground.cluster.api());
        let request = http.post(url).bearer_auth(everything).json(&body);
        let answer = request.send().await?.error_for_status()?;
        Ok::<Value, anyhow::Error>(answer.json().await?)
    };
    for number in 0..PROJECTS {
        post("/projects", json!({ "name": format!("p{number}") })).await?;
    }
    let grants = json!([{ "role": "viewer", "project": "p7" }]);
    let made = post("/tokens", json!({ "label": "p7", "grants": grants })).await?;
    Ok(made["token"].as_str().context("no token")?.to_owned())
}
