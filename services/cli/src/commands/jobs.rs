//! `certfleet jobs`: what is to be done, what has failed, and what to do about it.

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_jobs::{JobKey, JobKind};
use certfleet_storage::Store;
use certfleet_storage::jobs::{JobState, Wanted};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::inspect::JobView;
use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, Sheet};

/// Look at jobs, give dead ones another chance, pause and resume kinds of them.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs: those that wait, are being done or are dead; or those in one state.
    List(ListArgs),
    /// Show all that is known of a job.
    Show {
        /// Its key, as `list` shows it.
        key: String,
    },
    /// Make dead jobs due again, with their attempts counted from the start.
    Retry(Dead),
    /// Put dead jobs away: they are kept for as long as finished ones, and then removed.
    Discard(Dead),
    /// Claim no more jobs of a kind, on all workers, within two seconds; those in hand are finished.
    Pause {
        /// The kind, such as `signCertificate`.
        kind: JobKind,
    },
    /// Claim jobs of a kind again.
    Resume {
        /// The kind.
        kind: JobKind,
    },
}

/// Which jobs to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Those in this state only: queued, leased, done, dead or discarded.
    #[arg(long, value_parser = state)]
    state: Option<JobState>,
    /// Those of this kind only.
    #[arg(long)]
    kind: Option<JobKind>,
    /// At most so many of each state.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
}

/// Dead jobs.
#[derive(Debug, Args)]
pub struct Dead {
    /// Their keys, as `list` shows them.
    #[arg(required_unless_present = "all")]
    keys: Vec<String>,
    /// All dead jobs, or all of --kind.
    #[arg(long, conflicts_with = "keys")]
    all: bool,
    /// Those of this kind only.
    #[arg(long, requires = "all")]
    kind: Option<JobKind>,
}

fn state(name: &str) -> Result<JobState, String> {
    JobState::ALL
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| "the states are queued, leased, done, dead and discarded".to_owned())
}

/// Carries out a `jobs` command.
pub async fn run(
    command: JobsCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        JobsCommand::List(args) => list(&store, &args, out).await,
        JobsCommand::Show { key } => show(&store, &key, out).await,
        JobsCommand::Retry(dead) => change(&store, dead, Change::Retry, out).await,
        JobsCommand::Discard(dead) => change(&store, dead, Change::Discard, out).await,
        JobsCommand::Pause { kind } => {
            let event = Operator::here().event(Act::PauseJobs, format_args!("jobs/{kind}"));
            store.switches.pause(kind, &event).await?;
            paused(&store, out).await
        }
        JobsCommand::Resume { kind } => {
            let event = Operator::here().event(Act::ResumeJobs, format_args!("jobs/{kind}"));
            store.switches.resume(kind, &event).await?;
            paused(&store, out).await
        }
    }
}

async fn list(store: &Store, args: &ListArgs, out: Output) -> Result<(), Failure> {
    let states = match args.state {
        Some(state) => vec![state],
        None => vec![JobState::Dead, JobState::Leased, JobState::Queued],
    };
    let mut jobs: Vec<JobView> = Vec::new();
    let mut unfit = Vec::new();
    for state in states {
        let wanted = Wanted {
            state,
            kind: args.kind,
            most: args.limit,
        };
        let (found, corrupt) = store.jobs.list(wanted).await?;
        jobs.extend(found.into_iter().map(JobView::from));
        unfit.extend(corrupt);
    }
    out.show(&jobs, |sheet| {
        if jobs.is_empty() {
            sheet.line("there are no such jobs");
        } else {
            JobView::table(sheet, &jobs);
        }
    })?;
    match unfit.into_iter().next() {
        None => Ok(()),
        Some(corrupt) => Err(corrupt.into()),
    }
}

async fn show(store: &Store, key: &str, out: Output) -> Result<(), Failure> {
    let found = store.jobs.find(&JobKey::from_stored(key)).await?;
    let job = JobView::from(found.ok_or_else(|| Failure::not_found("job", key))?);
    out.show(&job, |sheet| job.write(sheet))
}

/// What to do with dead jobs.
#[derive(Debug, Clone, Copy)]
enum Change {
    Retry,
    Discard,
}

#[derive(Serialize)]
struct Changed {
    changed: Vec<String>,
    /// Those that were not dead, or are not there.
    left: Vec<String>,
}

async fn change(store: &Store, dead: Dead, change: Change, out: Output) -> Result<(), Failure> {
    let mut changed = Vec::new();
    let mut left = Vec::new();
    let mut keys = dead.keys;
    let operator = Operator::here();
    loop {
        if dead.all {
            keys = some_dead(store, dead.kind).await?;
        }
        if keys.is_empty() {
            break;
        }
        for key in keys.drain(..) {
            let job = JobKey::from_stored(&*key);
            let done = match change {
                Change::Retry => {
                    let event = operator.event(Act::RetryJob, format_args!("job/{key}"));
                    store.jobs.retry(&job, &event).await?
                }
                Change::Discard => {
                    let event = operator.event(Act::DiscardJob, format_args!("job/{key}"));
                    store.jobs.discard(&job, &event).await?
                }
            };
            if done { &mut changed } else { &mut left }.push(key);
        }
    }
    let answer = Changed { changed, left };
    out.show(&answer, |sheet| tell(sheet, &answer, change))?;
    match answer.left.first() {
        // Another was faster with some of all; that is no failure.
        Some(_) if dead.all => Ok(()),
        Some(key) => Err(Failure::not_found("dead job", key)),
        None => Ok(()),
    }
}

/// Keys of dead jobs: none when there are none left.
async fn some_dead(store: &Store, kind: Option<JobKind>) -> Result<Vec<String>, Failure> {
    let wanted = Wanted {
        state: JobState::Dead,
        kind,
        most: 500,
    };
    let (found, unfit) = store.jobs.list(wanted).await?;
    let unfit = unfit.into_iter().map(|corrupt| corrupt.id);
    Ok(found.into_iter().map(|job| job.key).chain(unfit).collect())
}

fn tell(sheet: &mut Sheet, answer: &Changed, change: Change) {
    let word = match change {
        Change::Retry => "due again",
        Change::Discard => "discarded",
    };
    for key in &answer.changed {
        sheet.line(format_args!("{word}: {key}"));
    }
    if answer.changed.is_empty() {
        sheet.line("nothing was changed");
    }
}

#[derive(Serialize)]
struct Paused {
    paused: Vec<String>,
}

async fn paused(store: &Store, out: Output) -> Result<(), Failure> {
    let switches = store.switches.read().await?;
    let answer = Paused {
        paused: switches.paused.into_iter().collect(),
    };
    out.show(&answer, |sheet| {
        if answer.paused.is_empty() {
            sheet.line("no kind of job is paused");
        } else {
            sheet.line(format_args!("paused: {}", answer.paused.join(", ")));
        }
    })
}
