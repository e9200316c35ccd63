//! A host of the fleet: its agent, and what is asked of the cluster for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result};
use certfleet_system_tests::{Binaries, Cluster, fresh_name};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{ADDRESS, PATIENCE, PAUSE};
use crate::support::succeeded;

/// A host: its agent's settings and state, and what it serves.
pub(super) struct Host<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) name: String,
    pub(super) home: PathBuf,
}

/// A running agent; killed when this is dropped.
pub(super) struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'c> Host<'c> {
    pub(super) fn new(cluster: &'c Cluster, home: &Path) -> Result<Self> {
        let name = fresh_name("host")
            .split('.')
            .next()
            .context("a name")?
            .to_owned();
        Ok(Self {
            cluster,
            name: name.chars().take(32).collect(),
            home: home.to_owned(),
        })
    }

    pub(super) fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// Lets the agent write below these, and run these shell lines.
    pub(super) fn allow(&self, directories: &[PathBuf], commands: &[(&str, &str)]) -> Result<()> {
        let commands: serde_json::Map<String, Value> = commands
            .iter()
            .map(|(name, line)| ((*name).to_owned(), json!(["/bin/sh", "-c", line])))
            .collect();
        let settings = json!({
            "state": self.state(),
            "directories": directories,
            "commands": commands,
            "probe_seconds": 5,
            "command_seconds": 20,
        });
        // YAML has all of JSON.
        Ok(fs::write(
            self.home.join("agent.yaml"),
            settings.to_string(),
        )?)
    }

    pub(super) fn command(&self) -> Result<Command> {
        let mut command = Command::new(Binaries::find()?.directory().join("certfleet-agent"));
        command
            .arg("--config")
            .arg(self.home.join("agent.yaml"))
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Invites it; gives the URL and the token.
    pub(super) fn invite(&self, more: &[&str]) -> Result<(String, String)> {
        let invited = self.certfleet(&[&["agent", "invite", &self.name], more].concat())?;
        let text = |field: &str| invited[field].as_str().map(str::to_owned);
        Ok((text("url").context("url")?, text("token").context("token")?))
    }

    pub(super) fn enrol(&self, (url, token): &(String, String)) -> Result<Output> {
        let mut command = self.command()?;
        command.args(["enrol", "--server", url, "--name", &self.name, "--root"]);
        command
            .arg(self.cluster.root())
            .env("CERTFLEET_AGENT_TOKEN", token);
        Ok(command.output()?)
    }

    pub(super) fn start(&self) -> Result<Agent> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.join("agent.log"))?;
        let mut command = self.command()?;
        let child = command
            .arg("run")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Agent(child))
    }

    pub(super) fn certfleet(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cluster.certfleet(&[arguments, &["--json"]].concat())?;
        Ok(serde_json::from_str(&succeeded(&output)?)?)
    }

    pub(super) fn add_target(&self, target: &str, directory: &Path, more: &[&str]) -> Result<()> {
        let chain = directory.join("{name}.pem").display().to_string();
        let key = directory.join("{name}.key").display().to_string();
        let add = ["target", "add", target, "--agent", &self.name];
        let files = ["--chain", &chain, "--key", &key];
        self.certfleet(&[&add[..], &files, more].concat()).map(drop)
    }

    /// Has a certificate for this name, at these targets; gives its id.
    pub(super) fn add(&self, name: &str, targets: &[&str]) -> Result<String> {
        self.cluster.answers().add_address(name, ADDRESS.into());
        let mut arguments = vec!["cert", "add", name, "--upstream", "own"];
        for target in targets {
            arguments.extend(["--target", target]);
        }
        let added = self.certfleet(&arguments)?;
        Ok(added["id"].as_str().context("no id")?.to_owned())
    }

    /// The first placement of a certificate, as soon as it is so.
    pub(super) async fn until(
        &self,
        id: &str,
        is: impl Fn(&Value, &Value) -> bool,
    ) -> Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.certfleet(&["cert", "show", id])?;
            let placement = &shown["placements"][0];
            if is(&shown, placement) {
                return Ok(placement.clone());
            }
            if Instant::now() >= until {
                let log = fs::read_to_string(self.home.join("agent.log")).unwrap_or_default();
                anyhow::bail!("{shown}\n{log}");
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits until the latest of so many versions is at the first target.
    pub(super) async fn until_placed(&self, id: &str, versions: usize) -> Result<Value> {
        self.until(id, |shown, placement| {
            let had = shown["versions"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let latest = had.last().map(|version| &version["id"]);
            had.len() == versions
                && placement["status"] == "placed"
                && Some(&placement["version"]) == latest
        })
        .await
    }

    /// The serial number of the current certificate, as OpenSSL writes it.
    pub(super) fn serial(&self, id: &str) -> Result<String> {
        let shown = self.certfleet(&["cert", "show", id])?;
        let serial = shown["serial"].as_str().context("no serial")?;
        Ok(serial.trim_start_matches('0').to_uppercase())
    }
}
