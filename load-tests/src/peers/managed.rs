//! A server process of ours: waited for, and ended by asking first.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::{Method, StatusCode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::ClientConfig;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::client::http::{Reach, Transport};

/// How long a server may take to end by itself.
const STOP_TIME: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct Managed {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

impl Managed {
    /// Starts `command`; what it writes goes to `log`, or only its errors if `quiet`.
    pub(crate) fn spawn(
        name: &'static str,
        mut command: Command,
        log: PathBuf,
        quiet: bool,
    ) -> Result<Self> {
        let file = File::create(&log)?;
        let stdout = if quiet {
            Stdio::null()
        } else {
            file.try_clone()?.into()
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            // So that an interrupt from the terminal comes to this program alone, which then stops all in order.
            .process_group(0)
            .spawn()
            .with_context(|| {
                let program = command.as_std().get_program().display();
                format!("{name} could not be started: {program}")
            })?;
        Ok(Self { child, name, log })
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} has ended", self.name))
    }

    /// Waits until `path` exists.
    pub(crate) async fn wait_for_file(&mut self, path: &Path, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !path.exists() {
            self.still_starting(deadline).await?;
        }
        Ok(())
    }

    /// Waits until `directory` is answered.
    pub(crate) async fn wait_for_directory(
        &mut self,
        directory: &str,
        tls: &Arc<ClientConfig>,
        within: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut transport = Transport::new(Arc::clone(tls), Reach::Loopback);
        loop {
            let answer = transport.send(Method::GET, directory, String::new()).await;
            let why = match answer {
                Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
                Ok(answer) => format!("{directory} answers {}", answer.status),
                Err(error) => format!("{directory}: {error:#}"),
            };
            self.still_starting(deadline).await.context(why)?;
        }
    }

    async fn still_starting(&mut self, deadline: Instant) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}):\n{}", self.name, self.last_words());
        }
        if Instant::now() >= deadline {
            bail!("{} does not start:\n{}", self.name, self.last_words());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(2000)..];
        String::from_utf8_lossy(tail).into_owned()
    }

    pub(crate) fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?);
        kill(pid, signal).with_context(|| format!("{} cannot be signalled", self.name))
    }

    /// Asks it to end and waits; after half a minute it is killed.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        self.thaw()?;
        self.signal(Signal::SIGTERM)?;
        match tokio::time::timeout(STOP_TIME, self.child.wait()).await {
            Ok(status) => drop(status?),
            Err(_) => self.child.kill().await?,
        }
        Ok(())
    }
}

impl Drop for Managed {
    /// For ways out that did not come by `stop`, an interrupt during its start: asked and waited for, because it
    /// may have children to end. Blocks the thread, which has nothing else to do on the way out.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        drop(self.thaw());
        drop(self.signal(Signal::SIGTERM));
        let deadline = Instant::now() + STOP_TIME;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                drop(self.child.start_kill());
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}
