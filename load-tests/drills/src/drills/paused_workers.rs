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
use crate::ground::{BACK_WITHIN, Ground, LEASE, PAUSE};
use crate::load::{Clients, Load};
use crate::points::Points;

const WORKERS: u32 = 12;
const CLIENTS: usize = 16;
/// So many stand still at once.
const AT_ONCE: usize = 8;
/// Longer than a lease, than what others leave lying before they take it, and than what an open transaction has written
/// stays locked.
const STANDS_STILL: Duration = Duration::from_secs(LEASE.as_secs() + 7);
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
                    let points = Points::of(ground, "certfleet-worker");
                    let pid = points.strike(*point, Strike::Pause, PATIENCE).await?;
                    drop(turns);
                    sleep(STANDS_STILL).await;
                    kill(Pid::from_raw(pid), Signal::SIGCONT).context("it is gone")?;
                }
            });
            try_join_all(hands).await?;
            let records = load.finish().await?;
            figures.add("workers paused past their lease", pauses);
            let sum = async |name, label| {
                let counters = ground.counters("worker", name, label).await?;
                anyhow::Ok(counters.values().sum::<u64>())
            };
            let until = Instant::now() + BACK_WITHIN;
            let lost = loop {
                let lost = sum("certfleet_jobs_total", "outcome=\"lost-lease\"").await?;
                // The last to wake up may not have found out yet.
                if lost >= pauses as u64 || Instant::now() > until {
                    break lost;
                }
                sleep(PAUSE).await;
            };
            let refused = sum("certfleet_jobs_stale_writes_total", "").await?;
            figures.add("jobs that others had done meanwhile", lost);
            figures.add("stale results refused by their fence", refused);
            ensure!(
                lost >= pauses as u64 && refused > 0,
                "{pauses} workers woke up with work of others in their hands: {figures:?}"
            );
            // A stale result that was written would have changed a certificate after it was given out.
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}
