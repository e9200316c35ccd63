//! Workers stand still with work in their hands, until others have done it, and then go on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_crash_points::{CrashPoint, Strike};
use certfleet_supervisor::Signal;
use certfleet_system_tests::Plan;
use futures_util::future::try_join_all;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::Figures;
use crate::ground::{Ground, LEASE, PAUSE};
use crate::load::{Clients, Load};
use crate::points::Points;

const WORKERS: u32 = 12;
const CLIENTS: usize = 16;
/// So many stand still at once.
const AT_ONCE: usize = 8;
/// Longer than a lease, than what others leave lying before they take it, and than what an open transaction has written
/// stays locked.
const STANDS_STILL: Duration = Duration::from_secs(LEASE.as_secs() + 7);
/// How long a worker that woke up may take to find out that it lost its job: its connections stood still as well.
const FOUND_OUT_WITHIN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(90);

/// Where it hurts most: all that is left to do is to write.
const POINTS: [CrashPoint; 5] = [
    CrashPoint::ChallengeDecided,
    CrashPoint::CertificateSigned,
    CrashPoint::BatchGathered,
    CrashPoint::TransactionOpen,
    CrashPoint::JobInHand,
];

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let pauses: usize = setting.scale.of(5, 100);
    let mut plan = Plan::new("paused-workers");
    plan.worker = WORKERS;
    let ground = Ground::start(plan).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let turns = Mutex::new(POINTS.iter().cycle().take(pauses));
            let hands = (0..AT_ONCE).map(|_| async {
                loop {
                    // One point at a time is armed, so that each has a worker of its own.
                    let mut turns = turns.lock().await;
                    let Some(point) = turns.next() else {
                        return anyhow::Ok(());
                    };
                    let pid = pause(ground, *point).await?;
                    drop(turns);
                    wake_later(pid).await?;
                }
            });
            try_join_all(hands).await?;
            // Of some, nobody has taken the work by the time they wake up, and they do it: others are paused for them.
            let mut struck = pauses;
            let mut more = POINTS.iter().cycle().take(pauses);
            let lost = loop {
                let lost = until_lost(ground, pauses).await?;
                match more.next() {
                    Some(point) if lost < pauses => {
                        wake_later(pause(ground, *point).await?).await?;
                        struck += 1;
                    }
                    _ => break lost,
                }
            };
            let records = load.finish().await?;
            let refused = sum(ground, "certfleet_jobs_stale_writes_total", "").await?;
            figures.add("workers paused past their lease", struck);
            figures.add("jobs that others had done meanwhile", lost);
            figures.add("stale results refused by their fence", refused);
            ensure!(
                lost >= pauses && refused > 0,
                "{struck} workers woke up with work of others in their hands: {figures:?}"
            );
            // A stale result that was written would have changed a certificate after it was given out.
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// Pauses the next worker that comes by; gives its pid.
async fn pause(ground: &Ground, point: CrashPoint) -> Result<i32> {
    let points = Points::of(ground, "certfleet-worker");
    points.strike(point, Strike::Pause, PATIENCE).await
}

/// Wakes it when its lease has run out.
async fn wake_later(pid: i32) -> Result<()> {
    sleep(STANDS_STILL).await;
    kill(Pid::from_raw(pid), Signal::SIGCONT).context("it is gone")
}

/// Waits until so many leases were lost, or none is any more; gives how many were. The last to wake up may not have found
/// out yet.
async fn until_lost(ground: &Ground, due: usize) -> Result<usize> {
    let until = Instant::now() + FOUND_OUT_WITHIN;
    loop {
        let lost = sum(ground, "certfleet_jobs_total", "outcome=\"lost-lease\"").await?;
        if lost >= due || Instant::now() > until {
            return Ok(lost);
        }
        sleep(PAUSE).await;
    }
}

/// A counter of all workers together.
async fn sum(ground: &Ground, name: &str, label: &str) -> Result<usize> {
    let counters = ground.counters("worker", name, label).await?;
    Ok(usize::try_from(counters.values().sum::<u64>())?)
}
