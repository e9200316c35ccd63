//! What the agent may do: nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use certfleet_domain::CommandName;
use serde::Deserialize;

/// What the agent may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it keeps what it is known by; its owner's alone.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Below these it may write files; nowhere else.
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    /// What it may run, by the names that targets have for it: the program and its arguments.
    #[serde(default)]
    pub commands: BTreeMap<CommandName, Vec<String>>,
    /// How long a command may take, in seconds.
    #[serde(default = "default_command_seconds")]
    command_seconds: u64,
    /// How long a server may take to serve a new certificate, in seconds.
    #[serde(default = "default_probe_seconds")]
    probe_seconds: u64,
}

fn default_state() -> PathBuf {
    "/var/lib/certfleet-agent".into()
}

fn default_command_seconds() -> u64 {
    60
}

fn default_probe_seconds() -> u64 {
    15
}

impl Settings {
    /// Reads them.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let shown = || file.display().to_string();
        let text = fs::read_to_string(file).with_context(shown)?;
        let settings: Self = serde_norway::from_str(&text).with_context(shown)?;
        settings.check().with_context(shown)?;
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        let paths = self.directories.iter().chain([&self.state]);
        for path in paths {
            ensure!(path.is_absolute(), "{} is no absolute path", path.display());
        }
        ensure!(
            !self.directories.iter().any(|path| path.parent().is_none()),
            "directories: / would allow everything"
        );
        for (name, command) in &self.commands {
            let program = command.first().map(Path::new);
            ensure!(
                program.is_some_and(Path::is_absolute),
                "commands.{name}: a program with its absolute path is due, and its arguments"
            );
        }
        let bounds = 1..=3600;
        let fits = [self.command_seconds, self.probe_seconds]
            .iter()
            .all(|seconds| bounds.contains(seconds));
        ensure!(fits, "command_seconds and probe_seconds: 1 to 3600 is due");
        Ok(())
    }

    /// How long a command may take.
    pub fn command_within(&self) -> Duration {
        Duration::from_secs(self.command_seconds)
    }

    /// How long a server may take to serve a new certificate.
    pub fn served_within(&self) -> Duration {
        Duration::from_secs(self.probe_seconds)
    }

    /// Says what they allow.
    pub fn tell(&self) -> anyhow::Result<()> {
        let mut out = anstream::stdout();
        writeln!(out, "state: {}", self.state.display())?;
        for directory in &self.directories {
            let found = match fs::canonicalize(directory) {
                Ok(real) if real == *directory => String::new(),
                Ok(real) => format!(" (which is {})", real.display()),
                Err(error) => format!(" ({error})"),
            };
            writeln!(out, "may write below {}{found}", directory.display())?;
        }
        for (name, command) in &self.commands {
            writeln!(out, "may run {name}: {}", command.join(" "))?;
        }
        if self.directories.is_empty() {
            writeln!(out, "may write nothing: directories is empty")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.yaml");
        fs::write(&file, text).unwrap();
        Settings::read(&file).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_is_not_allowed_is_not() {
        let settings = read("{}").unwrap();
        assert!(settings.directories.is_empty() && settings.commands.is_empty());
        let settings = read(
            "directories: [/etc/tls]\ncommands: {reload: [/usr/sbin/nginx, -s, reload]}\nstate: /var/lib/x\n",
        );
        assert_eq!(settings.unwrap().commands.len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        for (text, why) in [
            ("director: [/etc]", "director"),
            ("directories: [etc]", "absolute"),
            ("directories: [/]", "everything"),
            ("commands: {reload: [nginx]}", "commands.reload"),
            ("commands: {reload: []}", "commands.reload"),
            ("commands: {Re load: [/bin/true]}", "command"),
            ("command_seconds: 0", "command_seconds"),
            ("probe_seconds: 4000", "probe_seconds"),
        ] {
            let told = read(text).unwrap_err();
            assert!(
                told.contains(why) && told.contains("agent.yaml"),
                "{text}: {told}"
            );
        }
    }
}
