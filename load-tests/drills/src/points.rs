//! Crash points of one program, armed and awaited.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_crash_points::{CrashPoint, Strike, arm, struck};
use tokio::time::{Instant, sleep};

use crate::ground::{Ground, PAUSE};

/// The crash points of one program.
#[derive(Clone, Copy)]
pub struct Points<'g> {
    directory: &'g Path,
    program: &'static str,
}

impl<'g> Points<'g> {
    /// Those of a program of this cluster.
    pub fn of(ground: &'g Ground, program: &'static str) -> Self {
        Self {
            directory: ground.points(),
            program,
        }
    }

    /// Has the next process that comes by struck.
    pub fn arm(&self, point: CrashPoint, strike: Strike) -> Result<()> {
        arm(self.directory, self.program, point, strike)
            .with_context(|| format!("{} cannot be armed", point.name()))
    }

    /// The process that was struck since, if one was.
    pub fn struck(&self, point: CrashPoint) -> Result<Option<i32>> {
        Ok(struck(self.directory, self.program, point)?)
    }

    /// Has the next process that comes by struck, and waits until one was.
    pub async fn strike(&self, point: CrashPoint, strike: Strike, within: Duration) -> Result<i32> {
        self.arm(point, strike)?;
        let until = Instant::now() + within;
        loop {
            if let Some(pid) = self.struck(point)? {
                return Ok(pid);
            }
            ensure!(
                Instant::now() < until,
                "no {} has come by {} within {within:?}",
                self.program,
                point.name()
            );
            sleep(PAUSE).await;
        }
    }
}
