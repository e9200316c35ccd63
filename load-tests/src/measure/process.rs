//! Processor time, memory and size of processes, from `/proc`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// A process that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Watched {
    /// What it is part of: `api`, `mongod`.
    pub(crate) service: String,
    pub(crate) pid: u32,
}

/// One look at a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// User and system time since its start, to the tick (10 ms).
    pub(crate) cpu: Duration,
    /// Resident memory, in octets.
    pub(crate) resident: u64,
}

/// Looks at a process now.
pub(crate) fn sample(pid: u32) -> Result<Sample> {
    let path = PathBuf::from(format!("/proc/{pid}"));
    let gone = || format!("process {pid} is gone");
    let stat = std::fs::read_to_string(path.join("stat")).with_context(gone)?;
    let status = std::fs::read_to_string(path.join("status")).with_context(gone)?;
    let ticks = cpu_ticks(&stat).context("/proc/PID/stat is not as expected")?;
    let kib = resident_kib(&status).context("/proc/PID/status has no VmRSS")?;
    Ok(Sample {
        cpu: Duration::from_secs(ticks) / ticks_per_second()?,
        resident: kib * 1024,
    })
}

/// The program's size on disk, in octets, and its name.
pub(crate) fn executable(pid: u32) -> Result<(String, u64)> {
    let link = format!("/proc/{pid}/exe");
    let size = std::fs::metadata(&link)?.len();
    let name = Path::new(&std::fs::read_link(&link)?)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok((name, size))
}

fn ticks_per_second() -> Result<u32> {
    let ticks = sysconf(SysconfVar::CLK_TCK)?.context("the clock tick is not known")?;
    Ok(u32::try_from(ticks)?)
}

/// utime and stime of `/proc/PID/stat` together. The command's name may hold blanks and parentheses, so fields
/// are counted from its last parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_hostile_name() {
        let stat = "4711 (a) R 1 (b) S 1 4711 4711 0 -1 4194560 2540 0 0 0 137 42 9 9 20 0 5 0 1";
        assert_eq!(cpu_ticks(stat), Some(179));
        assert_eq!(cpu_ticks("4711 (a) S 1"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn resident_memory_is_read_in_kib() {
        let status = "Name:\ta\nVmHWM:\t   99 kB\nVmRSS:\t   12345 kB\nThreads:\t3\n";
        assert_eq!(resident_kib(status), Some(12345));
        assert_eq!(resident_kib("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let pid = std::process::id();
        let before = sample(pid).unwrap();
        assert!(before.resident > 100_000);
        let mut sum = 0_u64;
        while sample(pid).unwrap().cpu == before.cpu {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(executable(pid).unwrap().1 > 100_000);
    }
}
