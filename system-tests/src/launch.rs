//! `certfleet up` as a child process that does not outlive this one, however this one ends.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

/// Between two looks at a process that ends.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs the command and waits for its end. A second shell waits for the end of the pipe that is this one's standard
/// input: the test program holds the other end, which the kernel closes with it. Then the command gets SIGTERM, upon
/// which it stops all that it has started. Its logs stay for those who look for the reason of a failure.
const SCRIPT: &str = r#"
data=$1; kept=$2; shift 2
exec 3<&0
"$@" </dev/null &
child=$!
{ read -r _ <&3; kill -TERM "$child" 2>/dev/null; } &
watcher=$!
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
rm -rf "$kept"; mkdir -p "$kept"
cp "$data"/log/* "$data"/up.log "$kept" 2>/dev/null
rm -rf "$data"
exit "$status"
"#;

/// The binaries of the product, built by the same profile as the tests.
pub struct Binaries(PathBuf);

impl Binaries {
    /// Those beside this program, or one up if it is a test.
    pub fn find() -> Result<Self> {
        let program = std::env::current_exe()?;
        // target/<profile>/<program>, target/<profile>/deps/<test>
        let directory = program
            .ancestors()
            .skip(1)
            .find(|directory| !directory.ends_with("deps"))
            .context("the program lies in no target directory")?
            .to_owned();
        let needed = [
            "certfleet",
            "certfleet-api",
            "certfleet-worker",
            "certfleet-scheduler",
            "certfleet-metrics-adapter",
            "certfleet-agent",
        ];
        for name in needed {
            ensure!(
                directory.join(name).is_file(),
                "{name} is not in {}: run `make test`, or `cargo build --workspace --bins` first",
                directory.display()
            );
        }
        Ok(Self(directory))
    }

    /// Those of this directory.
    pub(crate) fn in_directory(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The operator's command.
    pub(crate) fn certfleet(&self) -> PathBuf {
        self.0.join("certfleet")
    }

    /// Where the logs of the last run are kept.
    pub(crate) fn logs(&self, name: &str) -> PathBuf {
        self.0.join("system-tests").join(name)
    }
}

/// Settings of whoever runs the tests are not those of the cluster.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CERTFLEET_") && name != "CERTFLEET_MONGOD" {
            command.env_remove(name);
        }
    }
}

/// The child. It is told to end when this is dropped, and by the kernel when this process ends.
pub(crate) struct Launched {
    child: Child,
    logs: PathBuf,
}

impl Launched {
    /// Starts `certfleet up` with these arguments on the data directory, which is removed when it has ended.
    pub(crate) fn start(
        binaries: &Binaries,
        data: &Path,
        logs: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Result<Self> {
        let log = std::fs::File::create(data.join("up.log"))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "system-tests"])
            .arg(data)
            .arg(logs);
        command.arg(binaries.certfleet()).arg("up");
        command.arg("--data").arg(data).args(arguments);
        without_settings(&mut command);
        command
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the test program.
            .process_group(0);
        let child = command.spawn().context("/bin/sh does not start")?;
        Ok(Self {
            child,
            logs: logs.to_owned(),
        })
    }

    /// Has it end, and waits until it has. Gives where its logs are.
    pub(crate) async fn stop(mut self, within: Duration) -> Result<PathBuf> {
        drop(self.child.stdin.take());
        let until = Instant::now() + within;
        while self.has_ended()?.is_none() {
            ensure!(
                Instant::now() < until,
                "it has not ended after {within:?}: {}",
                self.logs.display()
            );
            sleep(PAUSE).await;
        }
        Ok(self.logs)
    }

    /// Whether it has ended, and how.
    pub(crate) fn has_ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}
