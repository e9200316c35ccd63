//! Services beside an external database: order, readiness, `cluster.json`.
//!
//! The service is Python's file server, which is ready as soon as a file of the name `readyz` is there.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use certfleet_supervisor::{
    Cluster, Endpoints, Manifest, Mongo, ServiceSpec, Signal, SupervisorError, pick_free_ports,
};

use super::line;

fn service(service: &str, index: u32, files: &Path) -> ServiceSpec {
    let port = pick_free_ports(1).unwrap()[0];
    let script =
        format!("exec python3 -m http.server {port} --bind 127.0.0.1 --directory \"$FILES\"");
    ServiceSpec {
        service: service.to_owned(),
        index,
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("FILES".into(), files.into())],
        management: SocketAddr::from(([127, 0, 0, 1], port)),
    }
}

fn endpoints() -> Endpoints {
    Endpoints {
        directory: "https://localhost:14000/acme/main/directory".to_owned(),
        api: "https://localhost:14000".to_owned(),
        root: "/data/root.pem".into(),
        database: "certfleet".to_owned(),
        kek_file: "/data/kek".into(),
        admin_token_file: None,
    }
}

async fn without_database(directory: &Path) -> Cluster {
    let mongo = Mongo::External("mongodb://example.invalid/".to_owned());
    Cluster::open(directory, mongo).await.unwrap()
}

#[tokio::test]
async fn services_start_restart_and_stop_and_the_manifest_follows() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("readyz"), "").unwrap();
    let mut cluster = without_database(directory.path()).await;
    let workers = vec![
        service("worker", 0, directory.path()),
        service("worker", 1, directory.path()),
    ];
    cluster.start_services(workers).await.unwrap();
    let path = cluster.publish(endpoints()).unwrap();
    cluster
        .start_services(vec![service("api", 0, directory.path())])
        .await
        .unwrap();

    let text: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for field in [
        "directory",
        "api",
        "root",
        "mongo_uri",
        "database",
        "kek_file",
        "processes",
    ] {
        assert!(text.get(field).is_some(), "{field}");
    }
    let before = Manifest::read(directory.path()).unwrap();
    assert_eq!(before.processes.len(), 3);
    assert!(
        before.processes[2]
            .management
            .starts_with("http://127.0.0.1:")
    );

    cluster.signal("worker", 1, Signal::SIGKILL).unwrap();
    let exited = cluster.next_exit().await;
    assert_eq!((exited.service.as_str(), exited.index), ("worker", 1));
    cluster.restart("worker", 1).await.unwrap();
    let after = Manifest::read(directory.path()).unwrap();
    assert_eq!(after.processes[0], before.processes[0]);
    assert_ne!(after.processes[1].pid, before.processes[1].pid);
    assert_eq!(
        after.processes[1].management,
        before.processes[1].management
    );

    let unknown = cluster.restart("worker", 2).await.unwrap_err();
    assert!(line(&unknown).contains("worker 2"));
    assert_eq!(cluster.stop().await.unwrap(), Vec::<String>::new());
    assert!(!path.exists());
}

#[tokio::test]
async fn a_service_that_ends_while_starting_says_its_last_words_and_takes_the_others_down() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("readyz"), "").unwrap();
    let mut cluster = without_database(directory.path()).await;
    let fine = service("api", 0, directory.path());
    let mut bad = service("api", 1, directory.path());
    bad.args = vec!["-c".into(), "echo settings: no such file; exit 2".into()];
    let address = fine.management;
    let refused = cluster.start_services(vec![fine, bad]).await.unwrap_err();
    let text = line(&refused);
    assert!(
        text.contains("api 1") && text.contains("settings: no such file"),
        "{text}"
    );
    assert!(cluster.services().is_empty());
    // Its port is free again: it has been waited for.
    TcpListener::bind(address).unwrap();
}

#[tokio::test]
async fn a_taken_management_port_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = without_database(directory.path()).await;
    let spec = service("api", 0, directory.path());
    let _stranger = TcpListener::bind(spec.management).unwrap();
    let refused = cluster.start_services(vec![spec]).await.unwrap_err();
    assert!(matches!(refused, SupervisorError::PortTaken { .. }));
    assert!(line(&refused).contains(&format!("pid {}", std::process::id())));
}
