//! The mark that a restore is under way, so that no service starts on half of the data.

use certfleet_domain::ServerId;
use certfleet_storage::{StorageError, Store};

use crate::ledger;
use crate::runner::{MigrateError, migrate_to};
use crate::steps;

/// Puts the schema in place for a restore, and the mark before it. May be repeated.
pub async fn begin_restore(store: &Store, me: ServerId) -> Result<(), MigrateError> {
    ledger::mark_restore(store.database()).await?;
    migrate_to(store, me, &steps::all()).await.map(drop)
}

/// Takes the mark away: all of the data is there.
pub async fn end_restore(store: &Store) -> Result<(), StorageError> {
    ledger::unmark_restore(store.database()).await
}

/// The number of the last step that this build knows.
pub fn last_step() -> i32 {
    let numbers = steps::all().into_iter().map(|step| step.number);
    numbers.max().unwrap_or_default()
}
