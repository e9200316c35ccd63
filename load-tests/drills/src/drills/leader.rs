//! The leader goes, and comes back when it should not.
//!
//! Takeovers take as long as a lease lasts, so several pairs of schedulers are struck at the same time, each over a
//! database of its own in the same replica set.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use certfleet_crash_points::{CrashPoint, Strike};
use certfleet_supervisor::Signal;
use certfleet_system_tests::{Database, Outsider, Plan};
use futures_util::future::try_join_all;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::checks::{RUNS, runs_follow_each_other};
use crate::drill::Setting;
use crate::figures::{Figures, Spread};
use crate::ground::{BACK_WITHIN, Ground, PAUSE};
use crate::points::Points;

/// `scheduler.lease_ttl`.
const LEASE: Duration = Duration::from_secs(15);
/// Longer than that.
const STANDS_STILL: Duration = Duration::from_secs(18);
/// The label of transactions that found something other than they asserted. A scheduler has none otherwise.
const REFUSED: &str = "outcome=\"refused\"";
/// SCH-1.
const AFTER_A_KILL: Duration = LEASE;
const AFTER_A_TERM: Duration = Duration::from_secs(2);

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let pairs = setting.scale.of(1, 10);
    let ground = Ground::start(Plan::new("leader")).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            // Before there are pairs, whose schedulers would come by the same point.
            let refused = paused_with_a_run_in_hand(ground, setting.scale.of(1, 3)).await?;
            figures.add("runs of a paused leader refused when it woke up", refused);
            let setting = &setting;
            let drills = (0..pairs).map(|number| async move {
                let mut pair = Pair::start(ground, number, number < 2).await?;
                let took = pair.drill(ground, setting).await?;
                let database = Database::connect(ground.mongo_uri(), &pair.database).await?;
                // While it lives: the last run has to be of now.
                let runs = runs_follow_each_other(&database).await?;
                anyhow::Ok((runs, took))
            });
            let drilled = try_join_all(drills).await?;
            let mut all = Takeovers::default();
            let mut runs = 0;
            for (its_runs, took) in drilled {
                runs += its_runs;
                all.kills.extend(took.kills.times());
                all.pauses.extend(took.pauses.times());
                all.terms.extend(took.terms.times());
            }
            figures.add("another leads after a SIGKILL of the leader", &all.kills);
            figures.add("another leads after the leader was paused", &all.pauses);
            figures.add("another leads after a SIGTERM of the leader", &all.terms);
            ensure!(
                all.kills.longest() <= AFTER_A_KILL && all.terms.longest() <= AFTER_A_TERM,
                "too late: {figures:?}"
            );
            figures.add("pairs with a clock 120 s off", pairs.min(2));
            figures.add(RUNS, runs);
            Ok(figures)
        })
        .await
}

/// Pauses the leader of the cluster's own pair at the moment it is about to enqueue, until another leads, and lets it go
/// on. Gives how many of its runs were refused.
async fn paused_with_a_run_in_hand(ground: &Ground, times: usize) -> Result<u64> {
    let points = Points::of(ground, "certfleet-scheduler");
    let mut refused = 0;
    for _ in 0..times {
        let pid = points
            .strike(CrashPoint::RunDue, Strike::Pause, BACK_WITHIN)
            .await?;
        sleep(STANDS_STILL).await;
        kill(Pid::from_raw(pid), Signal::SIGCONT)?;
        let until = Instant::now() + BACK_WITHIN;
        let before = refused;
        while refused == before {
            ensure!(Instant::now() < until, "its run was not refused");
            sleep(PAUSE).await;
            let counters = ground
                .counters("scheduler", "certfleet_db_transactions_total", REFUSED)
                .await?;
            refused = counters.values().sum();
        }
    }
    Ok(refused)
}

/// How long takeovers took.
#[derive(Debug, Default)]
struct Takeovers {
    kills: Spread,
    pauses: Spread,
    terms: Spread,
}

/// Two schedulers and a worker over a database of their own.
struct Pair {
    database: String,
    schedulers: [Candidate; 2],
    _worker: Outsider,
    _directory: tempfile::TempDir,
}

/// One scheduler, which is started again after it was killed.
struct Candidate {
    process: Outsider,
    settings: Vec<(&'static str, OsString)>,
    state: PathBuf,
}

impl Candidate {
    async fn start(
        ground: &Ground,
        settings: Vec<(&'static str, OsString)>,
        state: PathBuf,
    ) -> Result<Self> {
        let process = start(ground, "scheduler", &settings, &state).await?;
        Ok(Self {
            process,
            settings,
            state,
        })
    }

    async fn start_again(&mut self, ground: &Ground) -> Result<()> {
        self.process = start(ground, "scheduler", &self.settings, &self.state).await?;
        Ok(())
    }

    async fn leads(&self) -> Result<bool> {
        let (_, metrics, _) = self.process.probe("/metrics").await?;
        Ok(metrics.lines().any(|line| line == "certfleet_leader 1"))
    }
}

async fn start(
    ground: &Ground,
    service: &str,
    settings: &[(&'static str, OsString)],
    state: &Path,
) -> Result<Outsider> {
    let borrowed: Vec<(&str, &OsStr)> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()))
        .collect();
    let log = state.with_extension("log");
    let mut process = Outsider::start(ground, service, &borrowed, state, &log)?;
    process
        .await_probe("/readyz", |status, _| status == 200)
        .await
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
    Ok(process)
}

impl Pair {
    /// `skewed`: the clock of one of the two is 120 s fast or slow.
    async fn start(ground: &Ground, number: usize, skewed: bool) -> Result<Self> {
        let database = format!("drill-leader-{number}");
        let migrated = ground.certfleet_in(&database, &["db", "migrate"])?;
        ensure!(migrated.status.success(), "{migrated:?}");
        let directory = tempfile::tempdir()?;
        let place = |name: &str| directory.path().join(name);
        let settings = vec![("CERTFLEET_DATABASE_NAME", OsString::from(&database))];
        let mut other = settings.clone();
        if skewed {
            let offset = if number.is_multiple_of(2) {
                "+120"
            } else {
                "-120"
            };
            other.push(("FAKETIME", offset.into()));
            other.push(("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()));
            other.push(("LD_PRELOAD", libfaketime()?.into()));
        }
        let worker = start(ground, "worker", &settings, &place("worker")).await?;
        Ok(Self {
            schedulers: [
                Candidate::start(ground, settings, place("one")).await?,
                Candidate::start(ground, other, place("other")).await?,
            ],
            _worker: worker,
            database,
            _directory: directory,
        })
    }

    async fn drill(&mut self, ground: &Ground, setting: &Setting) -> Result<Takeovers> {
        let mut took = Takeovers::default();
        for _ in 0..setting.scale.of(1, 5) {
            let leader = self.leader().await?;
            let began = Instant::now();
            kill(self.schedulers[leader].process.pid()?, Signal::SIGKILL)?;
            self.await_lead_of(1 - leader).await?;
            took.kills.add(began.elapsed());
            self.schedulers[leader].start_again(ground).await?;
        }
        for _ in 0..setting.scale.of(1, 2) {
            let leader = self.leader().await?;
            let pid = self.schedulers[leader].process.pid()?;
            let began = Instant::now();
            kill(pid, Signal::SIGSTOP)?;
            self.await_lead_of(1 - leader).await?;
            took.pauses.add(began.elapsed());
            sleep(STANDS_STILL.saturating_sub(began.elapsed())).await;
            kill(pid, Signal::SIGCONT)?;
            // It believes to lead until it looks at its clock.
            let until = Instant::now() + AFTER_A_TERM;
            while self.schedulers[leader].leads().await? {
                ensure!(Instant::now() < until, "two lead");
                sleep(PAUSE).await;
            }
        }
        for _ in 0..setting.scale.of(1, 2) {
            let leader = self.leader().await?;
            let began = Instant::now();
            kill(self.schedulers[leader].process.pid()?, Signal::SIGTERM)?;
            self.await_lead_of(1 - leader).await?;
            took.terms.add(began.elapsed());
            self.schedulers[leader].process.end().await?;
            self.schedulers[leader].start_again(ground).await?;
        }
        Ok(took)
    }

    async fn leader(&self) -> Result<usize> {
        let until = Instant::now() + BACK_WITHIN;
        while Instant::now() < until {
            for (index, scheduler) in self.schedulers.iter().enumerate() {
                if scheduler.leads().await? {
                    return Ok(index);
                }
            }
            sleep(PAUSE).await;
        }
        bail!("nobody leads")
    }

    async fn await_lead_of(&self, index: usize) -> Result<()> {
        let until = Instant::now() + BACK_WITHIN;
        while !self.schedulers[index].leads().await? {
            ensure!(Instant::now() < until, "nobody takes over");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// What shows a process another time.
fn libfaketime() -> Result<PathBuf> {
    let places = std::fs::read_dir("/usr/lib")?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    places
        .chain([PathBuf::from("/usr/lib/faketime/libfaketime.so.1")])
        .find(|library| library.is_file())
        .context("libfaketime is missing: scripts/get-test-tools installs it (Debian: faketime)")
}
