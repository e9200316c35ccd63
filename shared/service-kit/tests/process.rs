//! A service as a process: its arguments, its exit codes, its signals and what it says.
//!
//! This program is both: started with `BE_THE_SERVICE` it is a small service, else it starts itself as
//! that and watches.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test, though without the harness by which the lints know one"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};

use certfleet_service_kit::settings::SchedulerSettings;
use certfleet_service_kit::{Context, Program, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ROLE: &str = "BE_THE_SERVICE";

fn main() -> ExitCode {
    if std::env::var_os(ROLE).is_some() {
        return service();
    }
    let directory = tempfile::tempdir().unwrap();
    valid_settings_are_said_to_be(directory.path());
    invalid_settings_are_refused_before_anything_starts(directory.path());
    a_taken_management_port_ends_it_with_one_line(directory.path());
    it_serves_probes_outlives_sighup_and_stops_on_sigterm(directory.path());
    a_second_signal_ends_it_at_once(directory.path());
    println!("process tests passed");
    ExitCode::SUCCESS
}

/// Stops when told to, unless it is to be stubborn.
fn service() -> ExitCode {
    let program = Program {
        name: "certfleet-test",
        version: "1.2.3",
        about: "A service that does nothing",
    };
    run(program, async |mut context: Context<SchedulerSettings>| {
        context.health.started();
        let reload = context.signals.reload.changed();
        tokio::select! {
            _ = reload => tracing::info!("reloaded"),
            () = context.signals.shutdown.cancelled() => {}
        }
        context.signals.shutdown.cancelled().await;
        if context.settings.scheduler.retain_jobs.as_secs() == 3600 {
            std::future::pending::<()>().await;
        }
        Ok(())
    })
}

fn command(state: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // Those of whoever runs the tests: a service refuses variables that it does not know.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CERTFLEET_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env(ROLE, "1")
        .env("CERTFLEET_DATABASE_URI", "mongodb://nowhere.invalid")
        .env("CERTFLEET_MANAGEMENT_LISTEN", "127.0.0.1:0")
        .env("CERTFLEET_STATE_DIR", state)
        .envs(variables.iter().copied())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end: exit code and standard error.
fn outcome(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn valid_settings_are_said_to_be(state: &Path) {
    let (code, said) = outcome(command(state, &["--validate-only"], &[]));
    assert_eq!(
        (code, said.as_str()),
        (0, "certfleet-test: settings are valid\n")
    );
    assert_eq!(
        state.read_dir().unwrap().count(),
        0,
        "checking left something behind"
    );
}

fn invalid_settings_are_refused_before_anything_starts(state: &Path) {
    let drain = ("CERTFLEET_WORKER_DRAIN_TIMEOUT", "10s");
    for arguments in [&[][..], &["--validate-only"]] {
        let (code, said) = outcome(command(state, arguments, &[drain]));
        assert_eq!(code, 2, "{said}");
        let due = "certfleet-test: server.shutdown_timeout (25s) is longer than worker.drain_timeout (10s)";
        assert!(said.starts_with(due), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (code, said) = outcome(command(state, &["--config", "/nowhere.yaml"], &[]));
    assert_eq!(code, 2);
    assert!(said.contains("/nowhere.yaml"), "{said}");
}

fn a_taken_management_port_ends_it_with_one_line(state: &Path) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [("CERTFLEET_MANAGEMENT_LISTEN", address.as_str())];
    let (code, said) = outcome(command(state, &[], &variables));
    assert_eq!(code, 1, "{said}");
    let due = format!("management.listen: {address} is taken by another process");
    assert!(said.contains(&due), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// A running service and what it says.
struct Running {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Running {
    fn start(state: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = command(state, &[], variables).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    /// Waits for the line with this message.
    fn until(&mut self, message: &str) -> serde_json::Value {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.said.read_line(&mut line).unwrap(),
                0,
                "it never said {message:?}"
            );
            let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
            if line["message"] == message {
                return line;
            }
        }
    }

    fn tell(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn it_serves_probes_outlives_sighup_and_stops_on_sigterm(state: &Path) {
    let mut service = Running::start(state, &[]);
    let line = service.until("certfleet-test starts");
    let id = std::fs::read_to_string(state.join("server_id")).unwrap();
    assert_eq!(line["server_id"], id.trim());
    let address = line["management"].as_str().unwrap();
    assert!(get(address, "/livez").contains(r#"{"alive":true,"version":"1.2.3"}"#));

    service.tell(Signal::SIGHUP);
    service.until("reloaded");
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
    service.tell(Signal::SIGTERM);
    service.until("certfleet-test has ended");
    assert_eq!(service.exit_code(), Some(0));
}

fn a_second_signal_ends_it_at_once(state: &Path) {
    let stubborn = ("CERTFLEET_SCHEDULER_RETAIN_JOBS", "1h");
    let mut service = Running::start(state, &[stubborn]);
    let line = service.until("certfleet-test starts");
    service.tell(Signal::SIGINT);
    service.until("told to stop; finishing what runs");
    let address = line["management"].as_str().unwrap();
    assert!(get(address, "/readyz").contains("shutting down"));
    service.tell(Signal::SIGTERM);
    assert_eq!(service.exit_code(), Some(130));
}
