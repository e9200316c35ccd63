//! Processes die by the clock, whatever they are doing.

use std::time::Duration;

use anyhow::{Result, ensure};
use certfleet_supervisor::Signal;
use certfleet_system_tests::Plan;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::Figures;
use crate::ground::{BACK_WITHIN, Ground};
use crate::load::{Clients, Load};

const CLIENTS: usize = 8;
const WORKER_EVERY: Duration = Duration::from_secs(2);
const API_RESTART_EVERY: Duration = Duration::from_secs(9);
const API_KILL_EVERY: Duration = Duration::from_secs(5);
/// Longer than an election and the driver's finding out.
const PRIMARY_EVERY: Duration = Duration::from_secs(9);

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let lasts = Duration::from_secs(setting.scale.of(25, 40));
    let ground = Ground::start(Plan::new("kills")).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let until = Instant::now() + lasts;
            let (killed, restarted) = tokio::try_join!(
                strike(ground, "worker", Signal::SIGKILL, WORKER_EVERY, until),
                strike(ground, "api", Signal::SIGTERM, API_RESTART_EVERY, until),
            )?;
            figures.add("workers killed", killed);
            figures.add("API replicas restarted beside it", restarted);

            // What an API replica spends, and a worker claims, may be known to the primary alone when both die.
            let until = Instant::now() + lasts;
            let (replicas, primaries) = tokio::try_join!(
                strike(ground, "api", Signal::SIGKILL, API_KILL_EVERY, until),
                kill_primaries(ground, until),
            )?;
            figures.add("API replicas killed", replicas);
            figures.add("primaries killed beside it", primaries);
            for count in [killed, restarted, replicas, primaries] {
                ensure!(count >= 2, "too few were struck: {figures:?}");
            }
            let records = load.finish().await?;
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// Signals the two of a kind by turns, one every so often, and waits each time until the successor is ready. Gives how
/// many it were.
async fn strike(
    ground: &Ground,
    service: &str,
    signal: Signal,
    every: Duration,
    until: Instant,
) -> Result<usize> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, when there is nothing to strike.
    ticks.tick().await;
    for (count, index) in [0, 1].into_iter().cycle().enumerate() {
        ticks.tick().await;
        if Instant::now() >= until {
            return Ok(count);
        }
        ground.replace(service, index, signal).await?;
    }
    Ok(0)
}

/// Kills whatever is the primary, again and again, each time when there is another and the killed member is back. Gives
/// how often.
async fn kill_primaries(ground: &Ground, until: Instant) -> Result<usize> {
    let database = ground.database().await?;
    let mut ticks = interval(PRIMARY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut kills = 0;
    loop {
        ticks.tick().await;
        if Instant::now() >= until {
            return Ok(kills);
        }
        let primary = ground.primary(&database).await?;
        ground.signal("mongod", primary.index, Signal::SIGKILL)?;
        kills += 1;
        ground.primary_after(&database, &primary).await?;
        ground
            .member_back(primary.index, primary.pid, BACK_WITHIN)
            .await?;
    }
}
