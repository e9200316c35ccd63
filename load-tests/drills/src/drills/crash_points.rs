//! Processes die at every crash point.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use certfleet_crash_points::{CrashPoint, Strike};
use certfleet_supervisor::Signal;
use certfleet_system_tests::Plan;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::Figures;
use crate::ground::{BACK_WITHIN, Ground, PAUSE};
use crate::load::{Clients, Load};
use crate::points::Points;

const WORKERS: u32 = 6;
const CLIENTS: usize = 12;
/// Whose validations fail at first.
const SLOW_CLIENTS: usize = 6;
/// So many of a worker's points are armed at once: with all of them, none would come far.
const AT_ONCE: usize = 4;
/// Nobody comes by some of them more often than a duty is due, or a job has to be handed back.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two signals to workers with jobs in hand.
const DRAIN_EVERY: Duration = Duration::from_secs(3);

/// A worker's points that ordinary work comes by all the time.
const BUSY: [CrashPoint; 15] = [
    CrashPoint::BatchGathered,
    CrashPoint::TransactionOpen,
    CrashPoint::TransactionCommitted,
    CrashPoint::WorkerRegistered,
    CrashPoint::JobsFound,
    CrashPoint::JobsMarked,
    CrashPoint::JobInHand,
    CrashPoint::LeasesDue,
    CrashPoint::LeasesRenewed,
    CrashPoint::ChallengeRead,
    CrashPoint::ChallengeDecided,
    CrashPoint::ChallengeWritten,
    CrashPoint::CertificateRead,
    CrashPoint::CertificateSigned,
    CrashPoint::CertificateWritten,
];
/// And those that need a duty to be due, a failure or a signal.
const RARE: [CrashPoint; 9] = [
    CrashPoint::AttemptFailed,
    CrashPoint::AttemptEnded,
    CrashPoint::RecoveryBegun,
    CrashPoint::RecoveryDone,
    CrashPoint::RetentionBegun,
    CrashPoint::RetentionStepped,
    CrashPoint::EventsNumbered,
    CrashPoint::CheckpointSigned,
    CrashPoint::Draining,
];
const API: [CrashPoint; 6] = [
    CrashPoint::BatchGathered,
    CrashPoint::TransactionOpen,
    CrashPoint::TransactionCommitted,
    CrashPoint::RequestVerified,
    CrashPoint::RequestApplied,
    CrashPoint::JobAwaited,
];
const SCHEDULER: [CrashPoint; 7] = [
    CrashPoint::BatchGathered,
    CrashPoint::TransactionOpen,
    CrashPoint::TransactionCommitted,
    CrashPoint::LeadTaken,
    CrashPoint::RunDue,
    CrashPoint::RunEnqueued,
    CrashPoint::LeadToBeGivenUp,
];

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let mut plan = Plan::new("crash-points").with("CERTFLEET_VALIDATION_TIMEOUT", "2s");
    plan.worker = WORKERS;
    let ground = Ground::start(plan).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let mut load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            for _ in 0..SLOW_CLIENTS {
                load = load.with_slow_names(ground).await?;
            }
            let mut rng = StdRng::seed_from_u64(setting.seed);
            let quotas = BUSY
                .iter()
                .map(|point| (*point, setting.scale.of(1, 64)))
                .chain(RARE.iter().map(|point| (*point, setting.scale.of(1, 5))))
                .collect();
            let began = Instant::now();
            let (killed, ()) = tokio::select! {
                killed = kill_workers(ground, quotas, &mut rng) => (killed?, ()),
                failed = drain_now_and_then(ground) => (failed?, ()),
            };
            figures.add(
                "workers killed",
                format!(
                    "{} at {} points in {} s",
                    killed.values().sum::<usize>(),
                    killed.len(),
                    began.elapsed().as_secs()
                ),
            );
            // Neither is in the other's way.
            let (replicas, schedulers) = tokio::try_join!(
                kill_replicas(ground, setting.scale.of(1, 5)),
                kill_schedulers(ground, setting.scale.of(0, 1)),
            )?;
            figures.add("API replicas killed", replicas);
            figures.add("schedulers killed", schedulers);
            let records = load.finish().await?;
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// Kills workers at each point as often as its quota says, at several points at once, in an order by chance. Gives how
/// often at which.
async fn kill_workers(
    ground: &Ground,
    mut quotas: BTreeMap<CrashPoint, usize>,
    rng: &mut StdRng,
) -> Result<BTreeMap<CrashPoint, usize>> {
    let points = Points::of(ground, "certfleet-worker");
    let mut killed = BTreeMap::<CrashPoint, usize>::new();
    let mut armed = BTreeMap::<CrashPoint, Instant>::new();
    loop {
        for point in armed.keys().copied().collect::<Vec<_>>() {
            if points.struck(point)?.is_some() {
                armed.remove(&point);
                *killed.entry(point).or_default() += 1;
            } else if armed[&point].elapsed() > PATIENCE {
                bail!("no worker has come by {} within {PATIENCE:?}", point.name());
            }
        }
        quotas.retain(|_, left| *left > 0);
        if quotas.is_empty() && armed.is_empty() {
            return Ok(killed);
        }
        let busy = armed.keys().filter(|point| BUSY.contains(point)).count();
        let next = quotas
            .keys()
            .filter(|point| !armed.contains_key(point))
            .filter(|point| busy < AT_ONCE || RARE.contains(point))
            .copied()
            .choose(rng);
        if let Some(point) = next {
            points.arm(point, Strike::Kill)?;
            armed.insert(point, Instant::now());
            if let Some(left) = quotas.get_mut(&point) {
                *left -= 1;
            }
        }
        sleep(PAUSE.mul_f64(rng.random_range(0.5..1.5))).await;
    }
}

/// Kills an API replica at each of its points so many times. Says how many that is.
async fn kill_replicas(ground: &Ground, times: usize) -> Result<String> {
    for point in API.iter().cycle().take(API.len() * times) {
        let points = Points::of(ground, "certfleet-api");
        points.strike(*point, Strike::Kill, PATIENCE).await?;
    }
    Ok(format!("{} at {} points", API.len() * times, API.len()))
}

/// The same of schedulers.
async fn kill_schedulers(ground: &Ground, times: usize) -> Result<String> {
    for point in SCHEDULER.iter().cycle().take(SCHEDULER.len() * times) {
        kill_scheduler(ground, *point).await?;
    }
    Ok(format!(
        "{} at {} points",
        SCHEDULER.len() * times,
        SCHEDULER.len()
    ))
}

/// Kills the scheduler that comes by; at what happens when the lead changes, the leader has to be told to go.
async fn kill_scheduler(ground: &Ground, point: CrashPoint) -> Result<()> {
    let points = Points::of(ground, "certfleet-scheduler");
    let at_a_change = matches!(point, CrashPoint::LeadTaken | CrashPoint::LeadToBeGivenUp);
    if !at_a_change {
        let killed = points.strike(point, Strike::Kill, PATIENCE).await?;
        // Both are there again before the next.
        for index in [0, 1] {
            ground
                .await_successor("scheduler", index, killed, BACK_WITHIN)
                .await?;
        }
        return Ok(());
    }
    points.arm(point, Strike::Kill)?;
    for index in [0, 1].into_iter().cycle().take(6) {
        ground.replace("scheduler", index, Signal::SIGTERM).await?;
        if points.struck(point)?.is_some() {
            return Ok(());
        }
    }
    bail!(
        "no scheduler has come by {} when the leader was told to go",
        point.name()
    )
}

/// Tells one worker after the other to go, so that some have jobs in hand when they are told.
async fn drain_now_and_then(ground: &Ground) -> Result<BTreeMap<CrashPoint, usize>> {
    for index in (0..WORKERS).cycle() {
        sleep(DRAIN_EVERY).await;
        // It may be dead at this moment.
        if let Ok(process) = ground.process("worker", index)
            && ground.signal("worker", index, Signal::SIGTERM).is_ok()
        {
            ground
                .await_successor("worker", index, process.pid, BACK_WITHIN)
                .await?;
        }
    }
    ensure!(false, "there are no workers");
    Ok(BTreeMap::new())
}
