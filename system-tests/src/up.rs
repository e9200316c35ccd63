//! `certfleet up` as people use it: started, interrupted, killed, started again on the same data.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::{MongodBinary, Signal, pick_free_ports};
use certfleet_testkit::tools_directory;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::launch::{Binaries, without_settings};

const PAUSE: Duration = Duration::from_millis(50);

/// Starts the command, and ends it when the test program ends, however that ends: the kernel then closes the pipe that
/// is this shell's standard input.
const SCRIPT: &str = r#"
pid=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
echo "$child" >"$pid.new" && mv "$pid.new" "$pid"
{ read -r _ <&3; kill -TERM "$child" 2>/dev/null; } &
watcher=$!
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// Where `certfleet up` is started, time and again.
pub struct Ground {
    directory: tempfile::TempDir,
    mongod: PathBuf,
    port: u16,
    revocation_port: u16,
}

/// `certfleet up`, running. It is told to end when this is dropped.
pub struct Up {
    child: Child,
    pid: Pid,
    output: PathBuf,
}

impl Ground {
    /// An empty directory for the data, and the API's port.
    pub async fn new(port: u16) -> Result<Self> {
        let picked = pick_free_ports(1)?;
        Ok(Self {
            directory: tempfile::Builder::new().prefix("certfleet-up-").tempdir()?,
            mongod: MongodBinary::find(None, &tools_directory())
                .await?
                .path()
                .to_owned(),
            port,
            // Not the one after the API's, which another cluster of this program may have picked.
            revocation_port: *picked.first().context("no free port")?,
        })
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(Binaries::find()?.certfleet());
        command.args(["up", "--json", "--port", &self.port.to_string()]);
        command.args(["--revocation-port", &self.revocation_port.to_string()]);
        command.arg("--data").arg(self.data());
        command.arg("--mongod").arg(&self.mongod);
        command.args(["--api", "1", "--worker", "1", "--scheduler", "1"]);
        without_settings(&mut command);
        Ok(command)
    }

    /// Starts it.
    pub async fn up(&self) -> Result<Up> {
        let pid = self.directory.path().join("up.pid");
        let output = self.directory.path().join("up.out");
        fs::remove_file(&pid).ok();
        let log = fs::File::create(&output)?;
        let real = self.command()?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "system-tests"]).arg(&pid);
        shell.arg(real.get_program()).args(real.get_args());
        without_settings(&mut shell);
        let child = shell
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let until = Instant::now() + Duration::from_secs(10);
        let pid = loop {
            if let Ok(text) = fs::read_to_string(&pid) {
                break Pid::from_raw(text.trim().parse()?);
            }
            ensure!(Instant::now() < until, "the shell has started nothing");
            sleep(PAUSE).await;
        };
        Ok(Up { child, pid, output })
    }

    /// Starts it where it cannot run; gives what became of it.
    pub fn up_in_vain(&self) -> Result<Output> {
        let mut command = self.command()?;
        command.stdin(Stdio::null());
        command.output().context("certfleet does not start")
    }

    /// The processes that have the data directory among their arguments, by their command lines, but `certfleet up`
    /// itself and its shell.
    pub fn left(&self) -> Result<Vec<String>> {
        let data = self.data().display().to_string();
        let lines = processes()?.into_iter();
        Ok(lines.filter(|line| line.contains(&data)).collect())
    }
}

/// The command lines of all processes.
fn processes() -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // It may have ended meanwhile.
        if let Ok(line) = fs::read(entry?.path().join("cmdline")) {
            lines.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    Ok(lines)
}

impl Up {
    /// What it said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits for its last word of the start: where everything is.
    pub async fn summary(&mut self, within: Duration) -> Result<Value> {
        let until = Instant::now() + within;
        loop {
            let said = self.said();
            let mut lines = said
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            if let Some(summary) = lines.find(|line: &Value| line["directory"].is_string()) {
                return Ok(summary);
            }
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("it has ended, {status}: {said}");
            }
            ensure!(Instant::now() < until, "not ready after {within:?}: {said}");
            sleep(PAUSE).await;
        }
    }

    /// Signals it, and it alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(self.pid, signal)?)
    }

    /// Waits for its end.
    pub async fn end(mut self, within: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < until,
                "it has not ended after {within:?}: {}",
                self.said()
            );
            sleep(PAUSE).await;
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid, Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// The root certificate that a start left.
pub fn root(summary: &Value) -> Result<Vec<u8>> {
    let path = summary["root"].as_str().context("no root")?;
    Ok(fs::read(Path::new(path))?)
}
