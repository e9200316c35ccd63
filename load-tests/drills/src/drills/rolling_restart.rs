//! Everything is restarted, one process after the other, and nobody notices.

use std::time::Duration;

use anyhow::{Context as _, Result};
use certfleet_supervisor::Signal;
use certfleet_system_tests::Plan;
use tokio::time::Instant;

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::{Figures, Spread};
use crate::ground::Ground;
use crate::load::{Clients, Load};

/// Each request is sent once: the first that is not answered fails the drill.
const CLIENTS: usize = 6;
/// Clients have to be at work while a process goes and comes.
const ORDERS_BETWEEN: usize = 3;
const ORDERS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let rounds = setting.scale.of(1, 20);
    let ground = Ground::start(Plan::new("rolling-restart")).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Strict).await?;
            let mut took = Spread::default();
            let mut longest = Duration::ZERO;
            for round in 1..=rounds {
                for service in ["api", "worker", "scheduler"] {
                    for index in [0, 1] {
                        let began = Instant::now();
                        ground
                            .replace(service, index, Signal::SIGTERM)
                            .await
                            .with_context(|| format!("round {round}"))?;
                        took.add(began.elapsed());
                        load.goes_on(ORDERS_BETWEEN, ORDERS_WITHIN).await?;
                        longest = longest.max(load.gap_since(began));
                    }
                }
            }
            let records = load.finish().await?;
            figures.add("rounds", rounds);
            figures.add("processes restarted", took.len());
            figures.add("from SIGTERM until the next is ready", &took);
            figures.add(
                "longest time without an order accepted",
                format!("{:.2} s", longest.as_secs_f64()),
            );
            figures.add("requests without an answer", 0);
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}
