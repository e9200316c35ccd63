//! A zone is gone: one of each, for a while.

use std::time::Duration;

use anyhow::{Result, ensure};
use certfleet_supervisor::Signal;
use certfleet_system_tests::Plan;
use tokio::time::{Instant, sleep};

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::{Figures, Spread};
use crate::ground::{BACK_WITHIN, Ground, PAUSE};
use crate::load::{Clients, Load};

const CLIENTS: usize = 8;
const ORDERS_BETWEEN: usize = 20;
/// The pid of nobody: whoever is there and ready has come back.
const KILLED: i32 = 0;

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let times = setting.scale.of(1, 2);
    let gone_for = Duration::from_secs(20);
    let ground = Ground::start(Plan::new("zone")).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let database = ground.database().await?;
            let mut gaps = Spread::default();
            for turn in 0..times {
                load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
                // The zone of the primary, and by turns one or the other of the rest.
                let member = ground.primary(&database).await?.index;
                let zone = [
                    ("mongod", member),
                    ("api", turn % 2),
                    ("worker", turn % 2),
                    ("scheduler", turn % 2),
                ];
                let began = Instant::now();
                let mut kills = 0;
                // What comes back too early is killed again.
                while began.elapsed() < gone_for {
                    for (service, index) in zone {
                        kills +=
                            usize::from(ground.signal(service, index, Signal::SIGKILL).is_ok());
                    }
                    sleep(PAUSE).await;
                }
                ensure!(kills >= zone.len(), "the zone was not killed");
                load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
                gaps.add(load.gap_since(began));
                // The other zones have gone on; this one has to come back as well.
                for (service, index) in zone.into_iter().filter(|(service, _)| *service != "mongod")
                {
                    ground
                        .await_successor(service, index, KILLED, BACK_WITHIN)
                        .await?;
                }
            }
            let records = load.finish().await?;
            figures.add(
                "zones gone",
                format!("{times}, each for {} s", gone_for.as_secs()),
            );
            figures.add("no order accepted for", gaps);
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}
