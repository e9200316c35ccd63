//! `worker`: how a worker claims and carries out jobs.

use std::time::Duration;

use serde::Deserialize;

use super::section::{Complaint, Section, require};
use super::text::text;

/// How a worker claims and carries out jobs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// The most jobs at once that wait for others' hosts, and the most that do not. One account may have a quarter of the
    /// former.
    pub concurrency: u32,
    /// The most jobs of one authority that this worker has at once; 0 is as many as it has hands.
    pub per_authority: u32,
    /// How long a claim lasts unless it is renewed; a killed worker's jobs wait this long.
    #[serde(deserialize_with = "text")]
    pub lease: Duration,
    /// How long running jobs may go on after SIGTERM before they are handed back.
    #[serde(deserialize_with = "text")]
    pub drain_timeout: Duration,
    /// How often to look for jobs when nothing calls.
    #[serde(deserialize_with = "text")]
    pub poll_interval: Duration,
    /// The kinds of job to claim; none named means all.
    pub kinds: Vec<String>,
    /// What this worker is marked with, for work that asks for a mark.
    pub labels: Vec<String>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_authority: 0,
            lease: Duration::from_secs(60),
            drain_timeout: Self::DRAIN_TIMEOUT,
            poll_interval: Duration::from_secs(1),
            kinds: Vec::new(),
            labels: Vec::new(),
        }
    }
}

impl Worker {
    pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
}

impl Section for Worker {
    const NAME: &'static str = "worker";

    fn check(&self) -> Result<(), Complaint> {
        require(
            (1..=10_000).contains(&self.concurrency),
            "concurrency",
            "1 to 10000 is due",
        )?;
        // Renewed at a third of it, over a database that may be electing.
        require(
            self.lease >= Duration::from_secs(5),
            "lease",
            "at least 5s is due",
        )?;
        require(
            self.poll_interval >= Duration::from_millis(50),
            "poll_interval",
            "at least 50ms is due",
        )
    }
}
