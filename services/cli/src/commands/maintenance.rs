//! `certfleet maintenance`: no new orders for a while; what was ordered goes on (ACME-15).

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_domain::Timestamp;
use certfleet_storage::Store;
use clap::Subcommand;
use serde::Serialize;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment};

/// What it is about, on record.
const TARGET: &str = "cluster";

/// Take no new orders for a while.
#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Refuse new orders and authorizations with 503 on all replicas, within two seconds. What was ordered can still be
    /// proven, finalized, downloaded and revoked.
    On {
        /// Why, for the clients, such as "until 14:00 UTC".
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Take orders again.
    Off,
    /// Show whether there is a maintenance.
    Status,
}

#[derive(Serialize)]
struct Status {
    maintenance: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    since: Option<Timestamp>,
    reason: Option<String>,
}

/// Carries out a `maintenance` command; each ends with the status.
pub async fn run(
    command: MaintenanceCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        MaintenanceCommand::On { reason } => {
            let event = Operator::here()
                .event(Act::BeginMaintenance, TARGET)
                .with_detail(&reason);
            store.switches.begin_maintenance(&reason, &event).await?;
        }
        MaintenanceCommand::Off => {
            let event = Operator::here().event(Act::EndMaintenance, TARGET);
            store.switches.end_maintenance(&event).await?;
        }
        MaintenanceCommand::Status => {}
    }
    show(&store, out).await
}

async fn show(store: &Store, out: Output) -> Result<(), Failure> {
    let status = match store.switches.read().await?.maintenance {
        None => Status {
            maintenance: false,
            since: None,
            reason: None,
        },
        Some(maintenance) => Status {
            maintenance: true,
            since: Some(maintenance.since),
            reason: Some(maintenance.reason),
        },
    };
    out.show(&status, |sheet| match status.since {
        None => sheet.line("there is no maintenance: orders are taken"),
        Some(since) => {
            sheet.line("maintenance: new orders are refused");
            sheet.pairs([
                ("since", moment(since)),
                ("reason", status.reason.clone().unwrap_or_default()),
            ]);
        }
    })
}
