//! What is not Kubernetes (K8S-5): the image's file system, and the units for hosts without containers.
//!
//! No image builder can be had where these run, so that the image's last stage is carried out by its own script, and its programs
//! are started in it as the image starts them: nobody's, on a root that cannot be written to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use certfleet_system_tests::{Binaries, Cluster};

use crate::support::{refused, succeeded};

const PROGRAMS: [&str; 6] = [
    "certfleet",
    "certfleet-api",
    "certfleet-worker",
    "certfleet-scheduler",
    "certfleet-metrics-adapter",
    "certfleet-agent",
];
/// Makes the root one that cannot be written to but for its state, goes there, and is nobody from then on.
const IN_THE_IMAGE: &str = r#"
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 90
mount --bind "$2" "$1/var/lib/certfleet" || exit 91
root=$1; shift 2
exec chroot --userspec=65532:65532 "$root" "$@"
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a program in the image's file system, with this in its environment.
fn inside(root: &Path, state: &Path, env: &[(&str, &str)], arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    Ok(command
        .args(["--mount", "sh", "-c", IN_THE_IMAGE, "in-the-image"])
        .args([root, state])
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(env.iter().copied())
        .output()?)
}

#[tokio::test]
async fn each_program_of_the_image_runs_as_nobody_on_a_root_that_is_read_only() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let directory = tempfile::tempdir()?;
    let (root, state) = (
        directory.path().join("image"),
        directory.path().join("state"),
    );
    let put_together = Command::new(repository().join("scripts/image-root"))
        .arg(Binaries::find()?.directory())
        .arg(&root)
        .output()?;
    succeeded(&put_together)?;
    fs::create_dir(&state)?;
    nix::unistd::chown(&state, Some(65532.into()), Some(65532.into()))?;
    for entry in walk(&root)? {
        let metadata = entry.symlink_metadata()?;
        let mode = metadata.mode() & 0o7777;
        let is_tmp = entry.ends_with("tmp");
        ensure!(mode & 0o6000 == 0, "{}: {mode:o}", entry.display());
        ensure!(is_tmp || mode & 0o002 == 0, "{}: {mode:o}", entry.display());
    }
    ensure!(!root.join("bin/sh").exists(), "there is a shell");

    for program in PROGRAMS {
        let output = inside(&root, &state, &[], &[program, "--version"])?;
        let said = succeeded(&output).with_context(|| program.to_owned())?;
        ensure!(said.starts_with(&format!("{program} ")), "{said}");
    }
    // The database's own words: names are found, TLS roots are read, and the state's directory is written to.
    let env = [
        ("CERTFLEET_DATABASE_URI", cluster.mongo_uri()),
        ("CERTFLEET_DATABASE_NAME", cluster.database_name()),
        ("CERTFLEET_STATE_DIR", "/var/lib/certfleet"),
    ];
    succeeded(&inside(
        &root,
        &state,
        &env,
        &["certfleet", "db", "status"],
    )?)?;
    let kept = [
        "certfleet",
        "backup",
        "create",
        "/var/lib/certfleet/backup.tar",
    ];
    succeeded(&inside(&root, &state, &env, &kept)?)?;
    ensure!(fs::metadata(state.join("backup.tar"))?.uid() == 65532);
    let elsewhere = ["certfleet", "backup", "create", "/etc/backup.tar"];
    let why = refused(&inside(&root, &state, &env, &elsewhere)?)?;
    ensure!(
        why.contains("Read-only file system") || why.contains("Permission denied"),
        "{why}"
    );
    Ok(())
}

/// All that is in a directory.
fn walk(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.symlink_metadata()?.is_dir() {
            found.extend(walk(&path)?);
        }
        found.push(path);
    }
    Ok(found)
}

#[test]
fn the_dockerfile_puts_all_programs_into_the_image() -> Result<()> {
    let text = fs::read_to_string(repository().join("Dockerfile"))?;
    for program in PROGRAMS {
        ensure!(
            text.contains(&format!("-p {program}")),
            "{program} is not built"
        );
    }
    ensure!(
        text.contains("USER 65532:65532"),
        "whoever runs is somebody"
    );
    Ok(())
}

#[test]
fn units_are_such_that_systemd_takes_and_give_away_no_right_they_need_not() -> Result<()> {
    let binaries = Binaries::find()?;
    let directory = tempfile::tempdir()?;
    let mut units = Vec::new();
    for service in ["api", "worker", "scheduler"] {
        let name = format!("certfleet-{service}.service");
        let text = fs::read_to_string(repository().join("packaging/systemd").join(&name))?;
        // This machine has neither the programs in their place nor the user.
        let here = format!("{}/certfleet", binaries.directory().display());
        let text = text
            .replace("/usr/bin/certfleet", &here)
            .replace("User=certfleet", "User=daemon")
            .replace("Group=certfleet", "Group=daemon");
        let file = directory.path().join(&name);
        fs::write(&file, text)?;
        units.push(file);
    }
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .args(&units)
        .output()?;
    succeeded(&verified)?;
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    ensure!(said.is_empty(), "{said}");
    for unit in &units {
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=20"])
            .arg(unit)
            .output()?;
        succeeded(&output).with_context(|| unit.display().to_string())?;
    }
    Ok(())
}

/// `compose.yaml` gives each service what it takes.
#[test]
fn services_take_the_settings_of_the_compose_file() -> Result<()> {
    let python = repository().join(".certfleet/tools/chart-venv/bin/python");
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new(python)
        .args(["-c", script])
        .arg(repository().join("compose.yaml"))
        .output()
        .context("run scripts/get-test-tools")?;
    let compose: serde_json::Value = serde_json::from_str(&succeeded(&output)?)?;
    let binaries = Binaries::find()?;
    for service in ["api", "worker", "scheduler"] {
        let service = &compose["services"][service];
        let program = service["command"][0].as_str().context("no command")?;
        let environment = service["environment"].as_object().context("no settings")?;
        let output = Command::new(binaries.directory().join(program))
            .arg("--validate-only")
            .env_clear()
            .envs(
                environment
                    .iter()
                    .filter_map(|(name, value)| Some((name, value.as_str()?))),
            )
            .output()?;
        succeeded(&output).with_context(|| program.to_owned())?;
    }
    Ok(())
}
