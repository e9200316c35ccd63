//! The runner: applies what is pending, alone.

use std::time::Duration;

use certfleet_domain::ServerId;
use certfleet_storage::{Leadership, StorageError, Store, Term};
use mongodb::Database;
use tokio::time::{Instant, sleep, timeout_at};

use crate::ledger;
use crate::status::{self, SchemaError};
use crate::step::Step;
use crate::steps;

/// The role of the one runner.
const ROLE: &str = "migrations";
/// How long another runner waits for one that died.
const LEASE: Duration = Duration::from_secs(30);
/// How often the lease is renewed: two renewals may fail.
const RENEW_EVERY: Duration = Duration::from_secs(9);
/// How often a runner that waits looks whether it is its turn.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A step that was just applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub number: i32,
    /// Its name.
    pub name: &'static str,
}

/// Why the schema is not up to date. What was applied before the error stays, and is on record.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database is ahead of this build, or of another line of it.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A step failed; running again goes on with it.
    #[error("step {number} ({name}) failed: {error}")]
    Step {
        /// Its number.
        number: i32,
        /// Its name.
        name: &'static str,
        /// What the database said.
        error: StorageError,
    },
    /// The lease was lost, for the database could not be reached in time, so that another may be at work by now.
    #[error("the lease on migrations was lost while they ran: run `certfleet db migrate` again")]
    LeaseLost,
    /// The database is in trouble.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Applies all steps that are pending, in order, and gives those it applied; none if there was nothing to do.
///
/// Waits while another runner is at work. `me` is an id of this run alone: two runs with the same id would take each
/// other for themselves.
pub async fn migrate(store: &Store, me: ServerId) -> Result<Vec<Applied>, MigrateError> {
    if status::status(store.database()).await?.restoring {
        return Err(SchemaError::Restoring.into());
    }
    migrate_to(store, me, &steps::all()).await
}

pub(crate) async fn migrate_to(
    store: &Store,
    me: ServerId,
    known: &[Step],
) -> Result<Vec<Applied>, MigrateError> {
    let lease = store.leadership(ROLE);
    let (term, asked) = take(&lease, me).await?;
    // If the lease is lost, what the server has begun goes on; that another repeats it does no harm.
    let outcome = tokio::select! {
        outcome = apply_pending(store.database(), known) => outcome,
        lost = keep(&lease, me, term, asked) => Err(lost),
    };
    let stepped_down = lease.step_down(me, term).await;
    let applied = outcome?;
    stepped_down?;
    Ok(applied)
}

/// Waits for the lease; gives with it when it was asked for, from when on it counts at the earliest.
async fn take(lease: &Leadership, me: ServerId) -> Result<(Term, Instant), StorageError> {
    let mut told = false;
    loop {
        let asked = Instant::now();
        if let Some(term) = lease.hold(me, LEASE).await? {
            return Ok((term, asked));
        }
        if !told {
            tracing::info!("another runner is at work on the schema; waiting for it");
            told = true;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Keeps the lease; ends when it is lost, or so long unrenewed that it may be.
async fn keep(lease: &Leadership, me: ServerId, term: Term, asked: Instant) -> MigrateError {
    let mut sure_until = asked + LEASE;
    loop {
        sleep(RENEW_EVERY).await;
        let asked = Instant::now();
        match timeout_at(sure_until, lease.hold(me, LEASE)).await {
            Ok(Ok(Some(held))) if held == term => sure_until = asked + LEASE,
            Ok(Err(error)) if error.is_passing() => {
                tracing::warn!(%error, "the lease on migrations cannot be renewed; trying again");
            }
            Ok(Err(error)) => return error.into(),
            Ok(Ok(_)) | Err(_) => return MigrateError::LeaseLost,
        }
    }
}

async fn apply_pending(database: &Database, known: &[Step]) -> Result<Vec<Applied>, MigrateError> {
    let recorded = ledger::read(database).await?;
    let status = status::compare(known, recorded)?;
    status::require_known(&status)?;
    let mut applied = Vec::new();
    for pending in &status.pending {
        let Some(step) = known.iter().find(|step| step.number == pending.number) else {
            continue;
        };
        apply(database, step, &pending.checksum)
            .await
            .map_err(|error| MigrateError::Step {
                number: step.number,
                name: step.name,
                error,
            })?;
        tracing::info!(
            number = step.number,
            name = step.name,
            "schema step applied"
        );
        applied.push(Applied {
            number: step.number,
            name: step.name,
        });
    }
    Ok(applied)
}

async fn apply(database: &Database, step: &Step, checksum: &str) -> Result<(), StorageError> {
    for operation in &step.operations {
        operation.apply(database).await?;
    }
    ledger::record(database, step, checksum).await
}
