//! Group commit for single documents whose id alone decides: an unordered `insert_many`.

use std::sync::Arc;

use mongodb::Collection;
use mongodb::error::ErrorKind;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::gather::{Gathered, gather};
use crate::error::{DUPLICATE_KEY, StorageError};

const MOST_DOCUMENTS: usize = 128;

/// Whether this caller's document is the one that is now there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is.
    New,
    /// One with its id was there before.
    Existed,
}

struct Entry<T> {
    document: T,
    reply: oneshot::Sender<Result<Inserted, StorageError>>,
}

impl<T: Send + 'static> Gathered for Entry<T> {}

/// Many callers' single inserts into one collection, few round trips. Clones share one gatherer.
///
/// Of any number of callers in any number of processes that insert the same id, exactly one gets
/// [`Inserted::New`]. A caller that gets an error does not know whether its document is there.
pub struct InsertGroup<T> {
    entries: mpsc::Sender<Entry<T>>,
}

impl<T> Clone for InsertGroup<T> {
    fn clone(&self) -> Self {
        Self {
            entries: self.entries.clone(),
        }
    }
}

impl<T: Serialize + Send + Sync + 'static> InsertGroup<T> {
    /// Starts the gatherer; it ends when the last clone is dropped.
    pub(crate) fn start(collection: Collection<T>) -> Self {
        let entries = gather(MOST_DOCUMENTS, move |batch| {
            write(collection.clone(), batch)
        });
        Self { entries }
    }

    /// Inserts the document, in company. When this returns `Ok`, a majority has it in its journal.
    pub async fn insert(&self, document: T) -> Result<Inserted, StorageError> {
        let (reply, fate) = oneshot::channel();
        self.entries
            .send(Entry { document, reply })
            .await
            .map_err(|_| StorageError::ShuttingDown)?;
        fate.await.map_err(|_| StorageError::ShuttingDown)?
    }
}

async fn write<T: Serialize + Send + Sync>(collection: Collection<T>, batch: Vec<Entry<T>>) {
    let (documents, replies): (Vec<T>, Vec<_>) = batch
        .into_iter()
        .map(|entry| (entry.document, entry.reply))
        .unzip();
    let fates = match collection.insert_many(&documents).ordered(false).await {
        Ok(_) => Ok(Vec::new()),
        Err(error) => existing(error),
    };
    match fates {
        Ok(existed) => {
            for (index, reply) in replies.into_iter().enumerate() {
                let fate = if existed.contains(&index) {
                    Inserted::Existed
                } else {
                    Inserted::New
                };
                reply.send(Ok(fate)).ok();
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for reply in replies {
                reply
                    .send(Err(StorageError::Batch(Arc::clone(&error))))
                    .ok();
            }
        }
    }
}

/// The places of the documents that existed, if that is all that is wrong.
fn existing(error: mongodb::error::Error) -> Result<Vec<usize>, StorageError> {
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
