//! A batch of which each unit spends a nonce and does nothing else, as those of requests that only read: an unordered
//! insert, which needs no transaction, since the id alone decides.

use bson::Document;
use mongodb::Database;
use mongodb::error::ErrorKind;

use super::unit::{Unit, Write};
use crate::collections::NONCES;
use crate::error::{DUPLICATE_KEY, StorageError};

/// Whether the unit spends a nonce and does nothing else.
pub(super) fn only_spends(unit: &Unit) -> bool {
    unit.events.is_empty()
        && matches!(unit.writes.as_slice(), [Write::Insert { row, .. }] if row.collection == NONCES)
}

/// Spends each; gives, in order, whether it was not spent before. After an error nothing is known of any.
pub(super) async fn spend_each<'u>(
    database: &Database,
    units: impl Iterator<Item = &'u Unit>,
) -> Result<Vec<bool>, StorageError> {
    let documents: Vec<&Document> = units
        .flat_map(|unit| &unit.writes)
        .filter_map(|write| match write {
            Write::Insert { document, .. } => Some(document),
            Write::Update { .. } | Write::Ensure { .. } | Write::Remove { .. } => None,
        })
        .collect();
    let mut spent = vec![true; documents.len()];
    let written = database
        .collection::<Document>(NONCES)
        .insert_many(documents)
        .ordered(false)
        .await;
    if let Err(error) = written {
        for place in duplicates(error)? {
            if let Some(spent) = spent.get_mut(place) {
                *spent = false;
            }
        }
    }
    Ok(spent)
}

/// The places of the documents that existed, if that is all that is wrong.
fn duplicates(error: mongodb::error::Error) -> Result<Vec<usize>, StorageError> {
    let ErrorKind::InsertMany(failures) = error.kind.as_ref() else {
        return Err(error.into());
    };
    let write_errors = failures.write_errors.as_deref().unwrap_or_default();
    let only_duplicates = write_errors
        .iter()
        .all(|failure| failure.code == DUPLICATE_KEY);
    if failures.write_concern_error.is_none() && only_duplicates && !write_errors.is_empty() {
        Ok(write_errors.iter().map(|failure| failure.index).collect())
    } else {
        Err(error.into())
    }
}
