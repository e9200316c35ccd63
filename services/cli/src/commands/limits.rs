//! `certfleet limits`: names that rate limits have paused, and lifting that (ACME-13).

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_domain::{AccountId, Identifier, Timestamp};
use certfleet_storage::{Pause, Store};
use clap::Subcommand;
use serde::Serialize;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment};

/// Look at names that are paused because their validations kept failing, and lift that.
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// List paused names, the latest first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Let an account try a paused name again, its failures counted from the start.
    Lift {
        /// The account's id, as `list` shows it.
        account: AccountId,
        /// The name, as `list` shows it.
        name: Identifier,
    },
}

#[derive(Serialize)]
struct View {
    account: String,
    name: String,
    failures: i64,
    #[serde(with = "time::serde::rfc3339")]
    since: Timestamp,
}

impl From<Pause> for View {
    fn from(pause: Pause) -> Self {
        Self {
            account: pause.account,
            name: pause.name,
            failures: pause.failures,
            since: pause.since,
        }
    }
}

#[derive(Serialize)]
struct Lifted {
    lifted: String,
    account: String,
}

/// Carries out a `limits` command.
pub async fn run(
    command: LimitsCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        LimitsCommand::List { limit } => list(&store, limit, out).await,
        LimitsCommand::Lift { account, name } => lift(&store, account, &name, out).await,
    }
}

async fn list(store: &Store, most: i64, out: Output) -> Result<(), Failure> {
    let found = store.limits.pauses(most).await?;
    let pauses: Vec<View> = found.into_iter().map(View::from).collect();
    out.show(&pauses, |sheet| {
        if pauses.is_empty() {
            return sheet.line("no name is paused");
        }
        let rows = pauses.iter().map(|pause| {
            [
                pause.name.clone(),
                pause.account.clone(),
                pause.failures.to_string(),
                moment(pause.since),
            ]
        });
        sheet.table(["name", "account", "failures", "paused since"], rows);
    })
}

async fn lift(
    store: &Store,
    account: AccountId,
    name: &Identifier,
    out: Output,
) -> Result<(), Failure> {
    let event = Operator::here()
        .event(Act::LiftPause, format_args!("account/{account}"))
        .with_detail(name);
    if !store.limits.lift(account, name, &event).await? {
        let pause = format!("{name} of account {account}");
        return Err(Failure::not_found("paused name", pause));
    }
    let answer = Lifted {
        lifted: name.to_string(),
        account: account.to_string(),
    };
    out.show(&answer, |sheet| {
        sheet.line(format_args!(
            "{name} can be tried again by account {account}"
        ));
    })
}
