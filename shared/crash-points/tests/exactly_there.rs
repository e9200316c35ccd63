//! A process that is paused at a point does nothing behind it, however busy the machine is.

use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};
use std::{fs, hint, thread};

use certfleet_crash_points::{CrashPoint, Strike, VARIABLE, arm, reach, struck};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Where the paused process leaves its mark; its presence tells the process that it is the one.
const MARK: &str = "CERTFLEET_TEST_MARK";
const POINT: CrashPoint = CrashPoint::TransactionOpen;
const ROUNDS: usize = 20;
/// More than there are processors, as on a machine that is busy.
const BUSY: usize = 4;

/// The process that is paused: it comes by the point on a thread of its own, as tasks do, beside busy ones.
#[test]
fn the_paused_process() {
    let Some(mark) = std::env::var_os(MARK) else {
        return;
    };
    let all_are_there = Arc::new(Barrier::new(BUSY + 1));
    for _ in 0..BUSY {
        let all_are_there = Arc::clone(&all_are_there);
        thread::spawn(move || {
            all_are_there.wait();
            loop {
                hint::spin_loop();
            }
        });
    }
    let coming_by = thread::spawn(move || {
        all_are_there.wait();
        reach(POINT);
        fs::write(mark, "past").unwrap();
    });
    coming_by.join().unwrap();
}

#[test]
fn a_paused_process_does_nothing_behind_the_point() {
    for round in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let program = std::env::current_exe().unwrap();
        let name = program.file_name().unwrap().to_str().unwrap();
        arm(directory.path(), name, POINT, Strike::Pause).unwrap();
        let mut child = Command::new(&program)
            .args(["--exact", "the_paused_process"])
            .env(VARIABLE, directory.path())
            .env(MARK, &mark)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        // It stands still, or it ends.
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        let past = mark.exists();
        kill(pid, Signal::SIGCONT).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
        let by = struck(directory.path(), name, POINT).unwrap();
        assert_eq!(by, Some(pid.as_raw()));
        assert!(!past, "round {round}: it went on behind the point");
        assert!(
            mark.exists(),
            "round {round}: it did not go on when it was told to"
        );
    }
}
