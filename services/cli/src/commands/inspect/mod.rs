//! `certfleet inspect`: all that is known of one order, certificate or account, for the person who has to find out why
//! something went as it went.

mod account;
mod certificate;
mod job;
mod order;

use std::path::PathBuf;

use certfleet_domain::{AccountId, OrderId, Problem};
use clap::Subcommand;
use serde::Serialize;

pub(super) use self::certificate::Which;
pub(super) use self::job::JobView;
use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Show all that is known of one order, certificate or account.
#[derive(Debug, Subcommand)]
pub enum InspectCommand {
    /// An order with its authorizations, challenges, jobs and certificate.
    Order {
        /// Its id, the last part of its URL.
        id: OrderId,
    },
    /// A certificate.
    Certificate {
        /// Its id, the last part of its URL, or its serial number in hex, with or without colons.
        id: Which,
        /// Print the chain as clients download it (PEM), and nothing else.
        #[arg(long)]
        pem: bool,
    },
    /// An account with its orders.
    Account {
        /// Its id, the last part of its URL.
        id: AccountId,
    },
}

/// Carries out an `inspect` command.
pub async fn run(
    command: InspectCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        InspectCommand::Order { id } => order::run(&store, id, out).await,
        InspectCommand::Certificate { id, pem } => certificate::run(&store, id, pem, out).await,
        InspectCommand::Account { id } => account::run(&store, id, out).await,
    }
}

/// A problem in a line.
fn problem_text(problem: &Problem) -> String {
    format!("{}: {}", problem.kind.name(), problem.detail)
}

/// A status in the protocol's word for it.
fn word(status: &impl Serialize) -> String {
    match serde_json::to_value(status) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}
