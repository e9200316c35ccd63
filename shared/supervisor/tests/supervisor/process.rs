//! Children, one by one.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use certfleet_supervisor::{Process, ProcessSpec, Signal, SupervisorError, stop_leftovers};

const LONG: Duration = Duration::from_secs(30);

fn shell(owner: &Path, script: &str) -> ProcessSpec {
    ProcessSpec {
        name: "shell".to_owned(),
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("GREETING".into(), "hello".into())],
        log: owner.join("log/shell.log"),
        owner: owner.to_owned(),
        when_orphaned: Signal::SIGTERM,
    }
}

/// Waits for a line in the log: the script has got that far.
async fn wait_for_line(process: &Process, line: &str) {
    while !std::fs::read_to_string(process.log())
        .unwrap()
        .contains(line)
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn output_and_status_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(&shell(directory.path(), "echo $GREETING; exit 3")).unwrap();
    assert_eq!(process.wait().await.code(), Some(3));
    assert_eq!(std::fs::read_to_string(process.log()).unwrap(), "hello\n");
    process.signal(Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let spec = ProcessSpec {
        program: "/no/such/program".into(),
        ..shell(directory.path(), "")
    };
    let refused = Process::start(&spec).unwrap_err();
    assert!(matches!(refused, SupervisorError::Spawn { .. }));
    assert!(super::line(&refused).contains("/no/such/program"));
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let process = Process::start(&shell(directory.path(), script)).unwrap();
    wait_for_line(&process, "ready").await;
    let stopped = process.stop(Duration::from_millis(100)).await.unwrap();
    assert!(stopped.forced);
    assert_eq!(stopped.status.signal(), Some(9));
}

#[tokio::test]
async fn a_suspended_process_can_be_stopped_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let process = Process::start(&shell(directory.path(), script)).unwrap();
    wait_for_line(&process, "ready").await;
    process.signal(Signal::SIGSTOP).unwrap();
    let stopped = process.stop(LONG).await.unwrap();
    assert_eq!((stopped.forced, stopped.status.code()), (false, Some(7)));
}

#[tokio::test]
async fn dropping_a_process_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let process = Process::start(&shell(directory.path(), script)).unwrap();
    wait_for_line(&process, "ready").await;
    let log = process.log().to_owned();
    drop(process);
    while !std::fs::read_to_string(&log).unwrap().contains("bye") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn leftovers_are_those_of_the_same_directory() {
    let ours = tempfile::tempdir().unwrap();
    let theirs = tempfile::tempdir().unwrap();
    let first = Process::start(&shell(ours.path(), "exec sleep 600")).unwrap();
    let other = Process::start(&shell(theirs.path(), "exec sleep 600")).unwrap();
    assert_eq!(
        stop_leftovers(ours.path(), LONG).await.unwrap(),
        [first.pid()]
    );
    assert_eq!(first.wait().await.signal(), Some(15));
    assert_eq!(other.exit_status(), None);
    other.stop(LONG).await.unwrap();
}
