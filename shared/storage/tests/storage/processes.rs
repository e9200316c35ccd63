//! The register of processes.

use certfleet_storage::collections::PROCESSES;
use certfleet_storage::{Process, Processes};
use mongodb::bson::doc;

use crate::support::{server_id, space};

#[tokio::test]
async fn who_was_seen_is_alive_until_it_goes_or_falls_silent() {
    let space = space().await;
    let processes = &space.store.processes;
    let process = |service| Process {
        id: server_id(),
        service,
        version: "1",
        keks: (service == "api").then(|| vec!["kek".to_owned()]),
    };
    let (worker, silent, api) = (process("worker"), process("worker"), process("api"));
    for process in [&worker, &silent, &api] {
        processes.seen(process).await.expect("seen");
        processes.seen(process).await.expect("seen again");
    }
    let mut alive = processes.alive("worker").await.expect("a read");
    alive.sort();
    let mut due = vec![worker.id, silent.id];
    due.sort();
    assert_eq!(alive, due);

    let long_ago = vec![doc! { "$set": { "last_seen": { "$subtract": ["$$NOW", 11_000] } } }];
    let filter = doc! { "_id": silent.id.to_string() };
    assert_eq!(space.alter(PROCESSES, filter, long_ago).await, 1);
    assert_eq!(
        processes.alive("worker").await.expect("a read"),
        [worker.id]
    );
    let census = processes.census().await.expect("a read");
    assert_eq!(census.len(), 3);
    for seen in census {
        let is_silent = seen.silent_for >= Processes::ALIVE_WITHIN;
        assert_eq!(is_silent, seen.id == silent.id, "{seen:?}");
        let keks = (seen.service == "api").then(|| vec!["kek".to_owned()]);
        assert_eq!(seen.keks, keks);
    }
    processes.gone(worker.id).await.expect("gone");
    assert_eq!(processes.alive("worker").await.expect("a read"), []);
    assert_eq!(processes.alive("api").await.expect("a read"), [api.id]);
}
