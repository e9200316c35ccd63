//! The primary goes, in three ways.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_supervisor::{ProcessEntry, Signal};
use certfleet_system_tests::{Database, Plan};
use mongodb::Client;
use tokio::time::{Instant, sleep};

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::{Figures, Spread};
use crate::ground::{BACK_WITHIN, Ground};
use crate::load::{Clients, Load};

const CLIENTS: usize = 8;
/// How long the paused one stands still: longer than the others need to choose another.
const STANDS_STILL: Duration = Duration::from_secs(30);
/// Between two faults: the driver has found the new primary, and the clients are at work.
const ORDERS_BETWEEN: usize = 20;
/// REL-2, for SIGKILL.
const MOST: Duration = Duration::from_secs(7);

#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Pause,
    StepDown,
}

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let times = setting.scale.of(1, 3);
    let ground = Ground::start(Plan::new("primary")).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let database = ground.database().await?;
            for (fault, name) in [
                (Fault::Kill, "primary killed: no order accepted for"),
                (Fault::Pause, "primary paused: no order accepted for"),
                (
                    Fault::StepDown,
                    "primary told to step down: no order accepted for",
                ),
            ] {
                let mut gaps = Spread::default();
                for _ in 0..times {
                    load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
                    let began = Instant::now();
                    strike(ground, &database, fault).await?;
                    load.goes_on(ORDERS_BETWEEN, BACK_WITHIN).await?;
                    gaps.add(load.gap_since(began));
                }
                if let Fault::Kill = fault {
                    ensure!(
                        gaps.longest() <= MOST,
                        "{name} {gaps}, where {MOST:?} is the most"
                    );
                }
                figures.add(name, gaps);
            }
            let records = load.finish().await?;
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// Returns when another is the primary and the one that was is back.
async fn strike(ground: &Ground, database: &Database, fault: Fault) -> Result<()> {
    let primary = ground.primary(database).await?;
    match fault {
        Fault::Kill => {
            ground.signal("mongod", primary.index, Signal::SIGKILL)?;
            ground.primary_after(database, &primary).await?;
            ground
                .member_back(primary.index, primary.pid, BACK_WITHIN)
                .await
        }
        Fault::Pause => {
            ground.signal("mongod", primary.index, Signal::SIGSTOP)?;
            sleep(STANDS_STILL).await;
            ground.signal("mongod", primary.index, Signal::SIGCONT)?;
            ground.primary_after(database, &primary).await?;
            Ok(())
        }
        Fault::StepDown => {
            step_down(&primary).await?;
            ground.primary_after(database, &primary).await?;
            may_be_elected(&primary).await
        }
    }
}

async fn step_down(primary: &ProcessEntry) -> Result<()> {
    let command = doc! { "replSetStepDown": 30, "secondaryCatchUpPeriodSecs": 10 };
    let done = of_member(primary, command).await;
    done.context("it does not step down")
}

/// At once, and not after the 30 s: a primary does not step down while nobody else may be elected, and there are three.
async fn may_be_elected(member: &ProcessEntry) -> Result<()> {
    let done = of_member(member, doc! { "replSetFreeze": 0 }).await;
    done.context("it cannot be elected again")
}

async fn of_member(member: &ProcessEntry, command: Document) -> Result<()> {
    let uri = format!(
        "{}/?directConnection=true",
        member.management.trim_end_matches('/')
    );
    let client = Client::with_uri_str(uri).await?;
    client.database("admin").run_command(command).await?;
    Ok(())
}
