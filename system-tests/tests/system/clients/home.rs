//! Where a client runs: a directory of its own, and no setting of the machine's or of whoever runs the tests.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use certfleet_system_tests::Cluster;
use tempfile::TempDir;
use tokio::time::Instant;

/// How long one run of a client may take, in seconds.
const WITHIN: &str = "90";

/// The home of one client.
pub(crate) struct Home<'a> {
    /// The cluster that it is a client of.
    pub(crate) cluster: &'a Cluster,
    directory: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl<'a> Home<'a> {
    /// A home with nothing in it but the root certificate, as `root.pem`.
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        let home = Self {
            cluster,
            directory: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        };
        fs::copy(cluster.root(), home.path("root.pem")).unwrap();
        home
    }

    /// The same for a client that takes the file of trusted certificates from this environment variable.
    pub(crate) fn trusting_by(self, variable: &'static str) -> Self {
        let root = self.path("root.pem").display().to_string();
        self.set(variable, root)
    }

    /// Sets an environment variable of what runs here.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// A file in it.
    pub(crate) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(file)
    }

    /// The content of a text file in it.
    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Writes a text file.
    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    /// Writes a shell script in which `publish ACTION JSON` tells the challenge server what to answer.
    pub(crate) fn script(&self, file: &str, body: &str) {
        let challenges = self.cluster.answers().management();
        let publish = format!("curl --noproxy '*' -sS --fail-with-body -d \"$2\" {challenges}/$1");
        // Standard output is for what clients read from their hooks.
        self.write(
            file,
            &format!("#!/bin/sh\nset -eu\npublish() {{ {publish} >&2; }}\n{body}\n"),
        );
        fs::set_permissions(self.path(file), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a command line in this home, its words separated by spaces. It has to succeed; gives all that it said.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.output(line);
        let said = said(&output);
        assert!(output.status.success(), "{line}\n{said}\n{}", output.status);
        said
    }

    /// Runs a command line that has to fail, and gives what it said.
    pub(crate) fn refused(&self, line: &str) -> String {
        let output = self.output(line);
        let said = said(&output);
        assert!(
            !output.status.success(),
            "it should have failed: {line}\n{said}"
        );
        said
    }

    #[expect(
        clippy::print_stdout,
        reason = "the story so far, shown when a test fails"
    )]
    fn output(&self, line: &str) -> Output {
        let program = line.split(' ').next().unwrap();
        assert!(
            is_installed(program),
            "{program} is not installed: `make test` installs what the tests need"
        );
        let start = Instant::now();
        let output = Command::new("timeout")
            .args(["--kill-after=5", WITHIN])
            .args(line.split(' ').filter(|word| !word.is_empty()))
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.directory.path())
            .env("LANG", "C.UTF-8")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        println!("$ {line}\n{}({:.1?})", said(&output), start.elapsed());
        output
    }
}

fn said(output: &Output) -> String {
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    said
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
