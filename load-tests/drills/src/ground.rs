//! What a drill stands on: a cluster of its own, and where its crash points are armed.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_crash_points::VARIABLE;
use certfleet_supervisor::{ProcessEntry, Signal};
use certfleet_system_tests::{Cluster, Database, Plan};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a process may take to come back.
pub const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How long a claim lasts in drills: the least that the settings take.
pub const LEASE: Duration = Duration::from_secs(5);
/// Between two looks at what nothing announces.
pub const PAUSE: Duration = Duration::from_millis(50);

/// A cluster for one drill. Clones share it.
#[derive(Clone)]
pub struct Ground {
    cluster: Arc<Cluster>,
    points: Arc<TempDir>,
}

impl Deref for Ground {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Ground {
    /// Starts a cluster; its logs go by the drill's name.
    pub async fn start(plan: Plan) -> Result<Self> {
        let points = tempfile::Builder::new()
            .prefix("certfleet-points-")
            .tempdir()?;
        let plan = plan
            .with("CERTFLEET_WORKER_LEASE", format!("{}s", LEASE.as_secs()))
            .with(VARIABLE, points.path().display().to_string());
        Ok(Self {
            cluster: Arc::new(Cluster::start(plan).await?),
            points: Arc::new(points),
        })
    }

    /// Where crash points are armed.
    pub fn points(&self) -> &Path {
        self.points.path()
    }

    /// Carries out the drill on it, and ends it. Where it fails, says where the logs are.
    pub async fn carry_out<T>(self, drill: impl AsyncFnOnce(&Self) -> Result<T>) -> Result<T> {
        let result = drill(&self).await;
        // Clients of a drill that has failed are on their way out.
        while Arc::strong_count(&self.cluster) > 1 {
            sleep(PAUSE).await;
        }
        let cluster = Arc::into_inner(self.cluster).context("somebody uses the cluster")?;
        let logs = cluster.stop().await?;
        result.with_context(|| format!("the logs are in {}", logs.display()))
    }

    /// Kills a process, and waits until its successor is ready.
    pub async fn replace(&self, service: &str, index: u32, signal: Signal) -> Result<()> {
        let pid = self.signal(service, index, signal)?;
        self.await_successor(service, index, pid, BACK_WITHIN).await
    }

    /// Waits until a member that was killed has a successor that the others see again.
    pub async fn member_back(&self, index: u32, before: i32, within: Duration) -> Result<()> {
        let until = Instant::now() + within;
        loop {
            if let Ok(member) = self.process("mongod", index)
                && member.pid != before
                && Database::is_in_its_set(&member.management).await
            {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "mongod {index} (pid {before}) is not back after {within:?}"
            );
            sleep(PAUSE).await;
        }
    }

    /// The member that is the primary.
    pub async fn primary(&self, database: &Database) -> Result<ProcessEntry> {
        let until = Instant::now() + BACK_WITHIN;
        loop {
            // There is none for a while, and the file of the processes is replaced while it is read at times.
            if let Ok(address) = database.primary().await
                && let Ok(processes) = self.processes()
                && let Some(member) = processes
                    .into_iter()
                    .find(|process| process.management.contains(&address))
            {
                return Ok(member);
            }
            ensure!(
                Instant::now() < until,
                "there is no primary after {BACK_WITHIN:?}"
            );
            sleep(PAUSE).await;
        }
    }

    /// Waits until another member than this one is the primary.
    pub async fn primary_after(
        &self,
        database: &Database,
        before: &ProcessEntry,
    ) -> Result<ProcessEntry> {
        let until = Instant::now() + BACK_WITHIN;
        loop {
            let primary = self.primary(database).await?;
            if primary.index != before.index {
                return Ok(primary);
            }
            ensure!(
                Instant::now() < until,
                "member {} is the primary still",
                before.index
            );
            sleep(PAUSE).await;
        }
    }
}
