//! The database through restarts, losses and taken ports.

use std::net::TcpListener;

use certfleet_supervisor::{Cluster, Mongod, Signal, SupervisorError};

use super::{line, names, open, write};

fn ports(cluster: &Cluster) -> Vec<u16> {
    let set = cluster.replica_set().unwrap();
    set.members().iter().map(Mongod::port).collect()
}

#[tokio::test]
async fn a_second_start_has_the_data_and_a_second_cluster_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).await.unwrap();
    write(first.mongo_uri(), "one").await;

    let refused = open(directory.path()).await.unwrap_err();
    assert!(matches!(refused, SupervisorError::Locked { .. }));
    assert!(line(&refused).contains(&format!("pid {}", std::process::id())));

    let ports_before = ports(&first);
    assert_eq!(first.stop().await.unwrap(), Vec::<String>::new());
    let second = open(directory.path()).await.unwrap();
    assert_eq!(ports(&second), ports_before);
    assert_eq!(names(second.mongo_uri()).await, ["one"]);
    second.stop().await.unwrap();
}

/// Takes a port for the rest of the test run, and closes what connects.
fn stranger(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
}

#[tokio::test]
async fn taken_ports_are_replaced_and_the_set_follows() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = open(directory.path()).await.unwrap();
    write(cluster.mongo_uri(), "one").await;
    // One, which a majority survives; then all.
    for taken in [1..2, 0..3] {
        let before = ports(&cluster);
        cluster.stop().await.unwrap();
        before[taken.clone()].iter().copied().for_each(stranger);

        cluster = open(directory.path()).await.unwrap();
        for (index, port) in ports(&cluster).into_iter().enumerate() {
            assert_eq!(port != before[index], taken.contains(&index));
        }
        let set = cluster.replica_set().unwrap();
        set.wait_until_healthy().await.unwrap();
        assert_eq!(names(cluster.mongo_uri()).await, ["one"]);
    }
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_primary_is_replaced_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = open(directory.path()).await.unwrap();
    let set = cluster.replica_set().unwrap();
    set.wait_until_healthy().await.unwrap();
    let primary = set.primary().await.unwrap();
    write(cluster.mongo_uri(), "before").await;

    cluster.signal("mongod", primary, Signal::SIGKILL).unwrap();
    let exited = cluster.next_exit().await;
    assert_eq!((exited.service.as_str(), exited.index), ("mongod", primary));

    let set = cluster.replica_set().unwrap();
    set.wait_until_writable().await.unwrap();
    write(cluster.mongo_uri(), "while away").await;
    cluster.restart("mongod", primary).await.unwrap();
    let set = cluster.replica_set().unwrap();
    set.wait_until_healthy().await.unwrap();
    assert_eq!(names(cluster.mongo_uri()).await, ["before", "while away"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_member_without_its_data_is_filled_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).await.unwrap();
    write(first.mongo_uri(), "one").await;
    first.stop().await.unwrap();
    std::fs::remove_dir_all(directory.path().join("mongo/0")).unwrap();
    let second = open(directory.path()).await.unwrap();
    second
        .replica_set()
        .unwrap()
        .wait_until_healthy()
        .await
        .unwrap();
    assert_eq!(names(second.mongo_uri()).await, ["one"]);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_mongod_that_cannot_use_its_data_says_why() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.unwrap().stop().await.unwrap();
    std::fs::write(
        directory.path().join("mongo/1/data/WiredTiger.wt"),
        "damaged",
    )
    .unwrap();
    let refused = open(directory.path()).await.unwrap_err();
    let text = line(&refused);
    assert!(
        text.contains("mongod 1") && text.contains("WiredTiger"),
        "{text}"
    );
}
