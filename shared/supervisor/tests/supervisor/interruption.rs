//! Supervisors that end badly, and the start that follows.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use certfleet_supervisor::stop_leftovers;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{mongod, names, open, write};

/// A supervisor in a process of its own, and the connection string it tells when it is up.
async fn supervisor(directory: &Path, path_variable: &str) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_certfleet-replica-set"))
        .arg(directory)
        .env("CERTFLEET_MONGOD", mongod().await.path())
        .env("PATH", path_variable)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let uri = lines
        .next_line()
        .await
        .unwrap()
        .expect("the supervisor did not come up");
    (child, uri)
}

async fn kill_and_start_again(path_variable: &str) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, uri) = supervisor(directory.path(), path_variable).await;
    write(&uri, "one").await;
    child.kill().await.unwrap();
    let canonical = directory.path().canonicalize().unwrap();
    // Nobody else will stop them: a look, with no patience to spare, would kill them.
    let leftovers = if path_variable.is_empty() {
        stop_leftovers(&canonical, Duration::ZERO)
            .await
            .unwrap()
            .len()
    } else {
        0
    };
    let cluster = open(directory.path()).await.unwrap();
    assert_eq!(names(cluster.mongo_uri()).await, ["one"]);
    cluster.stop().await.unwrap();
    leftovers
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_mongods_with_it() {
    let path = std::env::var("PATH").unwrap();
    kill_and_start_again(&path).await;
}

#[tokio::test]
async fn without_setpriv_killed_leftovers_leave_data_that_recovers() {
    assert_eq!(kill_and_start_again("").await, 3);
}

#[tokio::test]
async fn live_leftovers_are_stopped_by_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, uri) = supervisor(directory.path(), "").await;
    write(&uri, "one").await;
    child.kill().await.unwrap();
    let cluster = open(directory.path()).await.unwrap();
    // The same ports: they were free again.
    assert_eq!(cluster.mongo_uri(), uri);
    assert_eq!(names(cluster.mongo_uri()).await, ["one"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_interrupted_at_any_moment_ends_well_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    for milliseconds in [1, 60, 400, 900, 1400, 1900, 2500] {
        let limit = Duration::from_millis(milliseconds);
        // Dropped in the middle, or whole and then dropped.
        drop(tokio::time::timeout(limit, open(directory.path())).await);
    }
    let cluster = open(directory.path()).await.unwrap();
    write(cluster.mongo_uri(), "one").await;
    cluster.stop().await.unwrap();
    let canonical = directory.path().canonicalize().unwrap();
    let left = stop_leftovers(&canonical, Duration::ZERO).await.unwrap();
    assert_eq!(left, Vec::<i32>::new());
}
