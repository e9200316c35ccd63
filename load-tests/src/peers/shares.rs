//! A share of a core for each replica, as one has that runs on a node of its own: a control group with a quota.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::measure::process::Watched;
use crate::report;

/// Where the first version of control groups keeps those for CPU.
const V1: &str = "/sys/fs/cgroup/cpu";
/// Where the second version keeps all.
const V2: &str = "/sys/fs/cgroup";
/// In so long the share is to be had, in microseconds: short beside what a request takes.
const PERIOD: u32 = 10_000;

/// The groups of some processes, which are removed in the end. The processes have to have ended by then.
pub(crate) struct Shares {
    groups: Vec<PathBuf>,
}

impl Shares {
    /// Gives each of these processes so many percent of a core, and no more.
    pub(crate) fn give<'a>(
        processes: impl Iterator<Item = &'a Watched>,
        percent: u32,
    ) -> Result<Self> {
        let mut shares = Self { groups: Vec::new() };
        for process in processes {
            let group = shares.group(process.pid)?;
            limit(&group, percent)
                .and_then(|()| fs::write(group.join("cgroup.procs"), process.pid.to_string()))
                .with_context(|| {
                    format!(
                        "a share of a core for {} in {}",
                        process.service,
                        group.display()
                    )
                })?;
        }
        Ok(shares)
    }

    fn group(&mut self, pid: u32) -> Result<PathBuf> {
        let root = Path::new(if is_v1() { V1 } else { V2 });
        let group = root.join(format!("certfleet-bench-{pid}"));
        fs::create_dir(&group).with_context(|| {
            format!(
                "--share takes root and control groups for CPU: {}",
                group.display()
            )
        })?;
        self.groups.push(group.clone());
        Ok(group)
    }
}

impl Drop for Shares {
    fn drop(&mut self) {
        for group in &self.groups {
            if let Err(error) = fs::remove_dir(group) {
                drop(report::say(&format!("{} stays: {error}", group.display())));
            }
        }
    }
}

fn is_v1() -> bool {
    Path::new(V1).join("cpu.cfs_quota_us").exists()
}

fn limit(group: &Path, percent: u32) -> std::io::Result<()> {
    let quota = percent * PERIOD / 100;
    if is_v1() {
        fs::write(group.join("cpu.cfs_period_us"), PERIOD.to_string())?;
        fs::write(group.join("cpu.cfs_quota_us"), quota.to_string())
    } else {
        fs::write(group.join("cpu.max"), format!("{quota} {PERIOD}"))
    }
}
