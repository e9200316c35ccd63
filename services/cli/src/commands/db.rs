//! `certfleet db status` and `certfleet db migrate`.

use std::path::PathBuf;

use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_migrations::{
    AppliedStep, PendingStep, SchemaError, SchemaStatus, migrate as apply, status as look,
};
use clap::Subcommand;
use serde::Serialize;

use crate::connection::{any_store, settings};
use crate::failure::Failure;
use crate::output::{Output, moment_or_none};

/// Look at the database's schema, and bring it up to date.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Show which steps of the schema are applied and which are pending. Exit code 1 if this build does not know the
    /// schema.
    Status,
    /// Apply all pending steps. Safe while services run; if another runner is at work, waits for it.
    Migrate,
}

/// Carries out a `db` command.
pub async fn run(command: DbCommand, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let settings = settings(config)?;
    let store = any_store(&settings).await?;
    match command {
        DbCommand::Status => {
            let found = look(store.database()).await?;
            let answer = Status {
                database: store.database().name(),
                steps: steps(&found),
            };
            out.show(&answer, |sheet| {
                sheet.table(
                    ["step", "name", "state", "applied at"],
                    answer.steps.iter().map(Step::row),
                );
            })?;
            // What the services would say to it; pending steps are no failure.
            judge(&found)
        }
        DbCommand::Migrate => {
            // An id of this run alone, as the lease asks for.
            let me = ServerId::generate(&SystemClock, &mut SystemRng);
            let applied = apply(&store, me).await?;
            let answer = Migrated {
                database: store.database().name(),
                applied: applied
                    .iter()
                    .map(|step| Step::new(step.number, step.name, "applied", None))
                    .collect(),
            };
            out.show(&answer, |sheet| {
                if answer.applied.is_empty() {
                    return sheet.line("the schema is up to date; nothing was done");
                }
                sheet.table(
                    ["step", "name", "state", "applied at"],
                    answer.applied.iter().map(Step::row),
                );
            })
        }
    }
}

#[derive(Serialize)]
struct Status<'a> {
    database: &'a str,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Migrated<'a> {
    database: &'a str,
    applied: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    number: i32,
    name: String,
    state: &'static str,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    applied_at: Option<certfleet_domain::Timestamp>,
}

impl Step {
    fn new(
        number: i32,
        name: &str,
        state: &'static str,
        applied_at: Option<certfleet_domain::Timestamp>,
    ) -> Self {
        Self {
            number,
            name: name.to_owned(),
            state,
            applied_at,
        }
    }

    fn row(&self) -> [String; 4] {
        [
            self.number.to_string(),
            self.name.clone(),
            self.state.to_owned(),
            moment_or_none(self.applied_at),
        ]
    }
}

fn steps(status: &SchemaStatus) -> Vec<Step> {
    let recorded = |list: &[AppliedStep], state| -> Vec<Step> {
        list.iter()
            .map(|step| Step::new(step.number, &step.name, state, Some(step.applied_at)))
            .collect()
    };
    let pending = |step: &PendingStep| Step::new(step.number, step.name, "pending", None);
    let mut steps = recorded(&status.applied, "applied");
    steps.extend(recorded(&status.changed, "changed"));
    steps.extend(recorded(&status.unknown, "unknown"));
    steps.extend(status.pending.iter().map(pending));
    steps.sort_by_key(|step| step.number);
    steps
}

fn judge(status: &SchemaStatus) -> Result<(), Failure> {
    if status.restoring {
        return Err(SchemaError::Restoring.into());
    }
    if let Some(step) = status.unknown.first() {
        let (number, name) = (step.number, &step.name);
        return Err(Failure::new(format!(
            "a newer build applied step {number} ({name}), which this one does not know: use that build"
        )));
    }
    if let Some(step) = status.changed.first() {
        let (number, name) = (step.number, &step.name);
        return Err(Failure::new(format!(
            "step {number} ({name}) was applied in another form than this build's"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{Clock, SystemClock};

    use super::*;

    #[test]
    fn steps_come_in_their_order_and_unknown_ones_are_named() {
        let applied = |number, name: &str| AppliedStep {
            number,
            name: name.to_owned(),
            checksum: String::new(),
            applied_at: SystemClock.now(),
        };
        let pending = PendingStep {
            number: 2,
            name: "two",
            checksum: String::new(),
        };
        let mut status = SchemaStatus {
            applied: vec![applied(1, "one")],
            pending: vec![pending],
            ..SchemaStatus::default()
        };
        assert!(judge(&status).is_ok());
        status.unknown.push(applied(3, "three"));
        let shown: Vec<_> = steps(&status).iter().map(|step| step.state).collect();
        assert_eq!(shown, ["applied", "pending", "unknown"]);
        let Err(Failure::Failed(error)) = judge(&status) else {
            panic!("it was taken for known");
        };
        assert!(error.to_string().contains("three"));
    }
}
