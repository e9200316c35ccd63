//! Who acted.

use std::collections::BTreeMap;

use certfleet_storage::Store;
use serde::{Deserialize, Serialize};

use super::nothing_signed;
use super::reading::{Begin, Held, read_all};
use crate::failure::Failure;
use crate::output::Output;

/// What is read of an event here; it may be of a newer build.
#[derive(Deserialize)]
struct Glance {
    server: String,
    at: String,
    actor: String,
}

#[derive(Serialize, Default)]
struct Server {
    id: String,
    /// The service, while it runs; else what its last act was done as.
    service: String,
    events: u64,
    last_event: String,
    alive: bool,
}

/// Reads, and verifies, all of the log that is kept.
pub async fn run(store: &Store, out: Output) -> Result<(), Failure> {
    let key = store.audit().key().await?.ok_or_else(nothing_signed)?;
    let start = Begin::of_log(store, &key).await?;
    let held = Held::read(store, &key, start.head.size()).await?;
    let mut servers: BTreeMap<String, Server> = BTreeMap::new();
    read_all(store, &start, held.signed, &held.head, |block| {
        let glances = block.events.iter().map(|event| serde_json::from_str(event));
        for Glance { server, at, actor } in glances.flatten() {
            let known = servers.entry(server).or_default();
            known.events += 1;
            known.last_event = at;
            kind(&actor).clone_into(&mut known.service);
        }
    })
    .await?;
    for seen in store.processes.census().await? {
        let server = servers.entry(seen.id.to_string()).or_default();
        server.service = seen.service;
        server.alive = seen.silent_for < certfleet_storage::Processes::ALIVE_WITHIN;
    }
    let servers: Vec<Server> = servers
        .into_iter()
        .map(|(id, server)| Server { id, ..server })
        .collect();
    out.show(&servers, |sheet| {
        let rows = servers.iter().map(|server| {
            let alive = if server.alive { "alive" } else { "gone" };
            [
                server.id.clone(),
                server.service.clone(),
                alive.to_owned(),
                server.events.to_string(),
                server.last_event.clone(),
            ]
        });
        sheet.table(["server", "service", "is", "events", "last event"], rows);
    })
}

/// What a process is that acts for such an actor.
fn kind(actor: &str) -> &str {
    match actor.split_once('/') {
        Some(("service", name)) => name,
        Some(("operator", _)) => "cli",
        _ => "api",
    }
}
