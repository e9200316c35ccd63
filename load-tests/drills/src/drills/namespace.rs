//! Drills that cut networks or fill disks do so in namespaces of their own: a child of this program that `unshare` starts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::MongodBinary;
use certfleet_testkit::tools_directory;
use tempfile::TempDir;
use tokio::process::Command;

use crate::drill::{Drill, Scale, Setting};
use crate::figures::Figures;

/// Set in the child.
const VARIABLE: &str = "CERTFLEET_DRILLS_NAMESPACE";

/// Whether this is the child.
pub(super) fn is_own() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Runs the drill in namespaces of this kind; gives its figures.
pub(super) async fn run(drill: Drill, setting: Setting, kind: &str) -> Result<Figures> {
    let directory = tempfile::tempdir()?;
    let figures = directory.path().join("figures.json");
    let mut command = Command::new("unshare");
    command.args([kind, "--"]).arg(std::env::current_exe()?);
    command.arg(drill.name());
    command.args(["--seed", &setting.seed.to_string()]);
    command.arg("--json").arg(&figures);
    if setting.scale == Scale::Short {
        command.arg("--short");
    }
    let status = command
        .env(VARIABLE, kind)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("unshare does not start; is it installed?")?;
    ensure!(
        status.success(),
        "it has failed in a namespace of its own (unshare {kind}, for which it has to be root); see above"
    );
    read(&fs::read(&figures)?)
}

fn read(json: &[u8]) -> Result<Figures> {
    #[derive(serde::Deserialize)]
    struct Outcome {
        figures: Vec<(String, String)>,
    }
    let outcomes: Vec<Outcome> = serde_json::from_slice(json)?;
    let mut figures = Figures::default();
    for (what, how_much) in outcomes.into_iter().flat_map(|outcome| outcome.figures) {
        figures.add(what, how_much);
    }
    Ok(figures)
}

/// A program that stands before the mongod.
pub(super) struct Wrapper(TempDir);

impl Wrapper {
    pub(super) fn program(&self) -> PathBuf {
        self.0.path().join("mongod")
    }
}

/// A script that ends by running `MONGOD`, which is put in.
pub(super) async fn mongod(script: &str) -> Result<Wrapper> {
    let real = MongodBinary::find(None, &tools_directory()).await?;
    let path = real.path().to_str().context("mongod: a strange path")?;
    let wrapper = Wrapper(tempfile::tempdir()?);
    let script = format!("#!/bin/sh\n{}", script.replace("MONGOD", path));
    fs::write(wrapper.program(), script)?;
    fs::set_permissions(wrapper.program(), fs::Permissions::from_mode(0o755))?;
    Ok(wrapper)
}
