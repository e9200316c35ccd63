//! As much of the drills as goes with every test run. All of them: `make drill`.

use anyhow::Result;
use certfleet_drills::{Drill, Scale, Setting};

/// One after the other: each has a cluster of its own, and the machine is small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_mends_and_nothing_is_lost() -> Result<()> {
    let setting = Setting {
        scale: Scale::Short,
        seed: rand::random(),
        former: None,
    };
    for drill in [
        Drill::CrashPoints,
        Drill::PausedWorkers,
        Drill::Kills,
        Drill::Revocation,
        Drill::RollingRestart,
        Drill::Upgrade,
        Drill::Leader,
    ] {
        let figures = drill.run(setting.clone()).await;
        let figures = figures.map_err(|error| {
            error.context(format!(
                "repeat it with: certfleet-drills {} --short --seed {}",
                drill.name(),
                setting.seed
            ))
        })?;
        println!("{}: {figures:?}", drill.name());
    }
    Ok(())
}
