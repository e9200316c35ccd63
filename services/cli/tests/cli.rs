//! The command as a user meets it: the built program, its answers and its exit codes. Nothing here needs a database.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::process::{Command, Output};

/// The program, without the settings of whoever runs the tests.
fn certfleet(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certfleet"));
    command.args(arguments).env_clear();
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    (
        status.code().unwrap(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn settings(directory: &Path, text: &str) -> String {
    let path = directory.join("certfleet.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const VALID: &str = "\
server:
  external_url: https://acme.example.org
database:
  uri: mongodb://127.0.0.1:1/?replicaSet=none&serverSelectionTimeoutMS=1
  server_selection_timeout: 200ms
  connect_timeout: 100ms
kek:
  file: /nowhere/kek
";

#[test]
fn every_command_explains_itself_and_the_exit_codes_are_told() {
    let (code, help, _) = run(&mut certfleet(&["--help"]));
    assert_eq!(code, 0);
    for due in [
        "Exit codes:",
        "130",
        "up",
        "config",
        "db",
        "ca",
        "inspect",
        "completion",
    ] {
        assert!(help.contains(due), "{due} is missing in:\n{help}");
    }
    for (command, due) in [
        (&["up", "--help"][..], "--http01-port"),
        (&["config", "validate", "--help"], "without connecting"),
        (&["db", "migrate", "--help"], "pending"),
        (&["ca", "create", "--help"], "rsa-4096"),
        (&["ca", "test-sign", "--help"], "Nothing is stored"),
        (&["inspect", "certificate", "--help"], "serial"),
    ] {
        let (code, help, _) = run(&mut certfleet(command));
        assert_eq!(code, 0, "{command:?}");
        assert!(help.contains(due), "{command:?} lacks {due}:\n{help}");
    }
    let (code, version, _) = run(&mut certfleet(&["--version"]));
    assert_eq!(
        (code, version.trim()),
        (0, concat!("certfleet ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn bad_usage_has_its_exit_code_and_says_what_is_due() {
    for (arguments, due) in [
        (&[][..], "Usage"),
        (&["fly"], "fly"),
        (&["up", "--port", "70000"], "70000"),
        (&["up", "--api", "0"], "--api"),
        (&["up", "--resolver", "dns.example"], "127.0.0.1:5353"),
        (&["up", "--mongod", "m", "--mongo-uri", "u"], "--mongo-uri"),
        (&["ca", "create", "Not A Name"], "not an authority name"),
        (&["ca", "create", "a", "--key", "rsa-1024"], "rsa-2048"),
        (
            &["ca", "create", "a", "--import-root", "r.pem"],
            "--import-key",
        ),
        (
            &["ca", "create", "a", "--intermediate-years", "20"],
            "--root-years",
        ),
        (&["inspect", "order", "1"], "not an order id"),
        (&["inspect", "certificate", "zz"], "serial number"),
    ] {
        let (code, _, errors) = run(&mut certfleet(arguments));
        assert_eq!(code, 2, "{arguments:?}: {errors}");
        assert!(errors.contains(due), "{arguments:?} lacks {due}:\n{errors}");
    }
}

#[test]
fn completion_is_there_for_each_shell() {
    for (shell, due) in [
        ("bash", "complete"),
        ("zsh", "#compdef certfleet"),
        ("fish", "complete -c certfleet"),
    ] {
        let (code, script, _) = run(&mut certfleet(&["completion", shell]));
        assert_eq!(code, 0);
        assert!(
            script.contains(due) && script.contains("test-sign"),
            "{shell}"
        );
    }
    assert_eq!(run(&mut certfleet(&["completion", "cmd"])).0, 2);
}

#[test]
fn settings_are_checked_as_all_services_together_would() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings(directory.path(), VALID);
    let (code, out, errors) = run(&mut certfleet(&["config", "validate", "--config", &file]));
    assert_eq!(
        (code, out.trim(), errors.as_str()),
        (0, "the settings are valid", "")
    );
    let (code, out, _) = run(&mut certfleet(&[
        "config", "validate", "--json", "--config", &file,
    ]));
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["valid"]), (0, &true.into()));
}

#[test]
fn each_fault_in_the_settings_is_a_line_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let faulty = VALID.replace("https://acme.example.org", "acme.example.org")
        + "worker:\n  hands: 3\nscheduler:\n  lease_ttl: soon\nlog:\n  level: ${LEVEL}\n";
    let file = settings(directory.path(), &faulty);
    let mut command = certfleet(&["config", "validate", "--config", &file]);
    let (code, out, errors) = run(command.env("CERTFLEET_TLS_MODE", "maybe"));
    assert_eq!((code, out.as_str()), (2, ""));
    for name in [
        "server.external_url",
        "hands",
        "scheduler.lease_ttl",
        "LEVEL",
        "tls.mode",
    ] {
        let lines = errors.lines().filter(|line| line.contains(name)).count();
        assert_eq!(lines, 1, "{name} in:\n{errors}");
    }
    assert!(
        errors.lines().all(|line| line.starts_with("certfleet: ")),
        "{errors}"
    );
    let mut command = certfleet(&["config", "validate", "--json", "--config", &file]);
    let (code, out, errors) = run(&mut command);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, errors.as_str(), &answer["valid"]),
        (2, "", &false.into())
    );
    assert!(answer["faults"].as_array().unwrap().len() >= 4, "{out}");
}

#[test]
fn a_file_that_is_not_there_and_a_setting_that_is_missing_are_faults() {
    for arguments in [
        &["config", "validate", "--config", "/nowhere/c.yaml"][..],
        &["db", "status", "--config", "/nowhere/c.yaml"],
    ] {
        let (code, _, errors) = run(&mut certfleet(arguments));
        assert_eq!(code, 2);
        assert!(errors.contains("/nowhere/c.yaml"), "{errors}");
    }
    let (code, _, errors) = run(&mut certfleet(&["ca", "list"]));
    assert_eq!(code, 2);
    assert!(errors.contains("CERTFLEET_DATABASE_URI"), "{errors}");
}

#[test]
fn a_database_that_does_not_answer_is_named_in_one_line_without_its_password() {
    let mut command = certfleet(&["db", "status"]);
    command
        .env(
            "CERTFLEET_DATABASE_URI",
            "mongodb://u:hunter2@127.0.0.1:1/?replicaSet=none",
        )
        .env("CERTFLEET_DATABASE_SERVER_SELECTION_TIMEOUT", "200ms")
        .env("CERTFLEET_DATABASE_CONNECT_TIMEOUT", "100ms");
    let (code, out, errors) = run(&mut command);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("mongodb://127.0.0.1:1"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn up_says_in_one_line_what_stands_in_its_way() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.join("data");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let free = directory.path().join("data");
    let (free, data) = (free.to_str().unwrap(), data.to_str().unwrap());
    // Beside the program under test there may be no services: then that is what it says.
    for (arguments, due) in [
        (vec!["up", "--data", data], data),
        (vec!["up", "--data", free, "--port", &port], &port),
        (vec!["up", "--data", free, "--port", &port, "--json"], &port),
    ] {
        let (code, out, errors) = run(&mut certfleet(&arguments));
        assert_eq!((code, out.as_str()), (1, ""), "{errors}");
        let last = errors.lines().last().unwrap();
        assert!(last.starts_with("certfleet: "), "{errors}");
        assert!(
            last.contains(due) || last.contains("beside this program"),
            "{errors}"
        );
    }
}
