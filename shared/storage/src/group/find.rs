//! Group reads: many callers' reads by id, few round trips.

use std::collections::HashMap;
use std::sync::Arc;

use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::Collection;
use tokio::sync::{mpsc, oneshot};

use super::gather::{Gathered, gather};
use crate::error::StorageError;

const MOST_IDS: usize = 128;

struct Ask {
    id: String,
    reply: oneshot::Sender<Result<Option<Document>, StorageError>>,
}

impl Gathered for Ask {}

/// Many callers' reads of one collection by id. Clones share one gatherer.
///
/// A read starts after it is asked for, never before: it sees all that was committed by then, as a read of one's own
/// would.
#[derive(Clone)]
pub(crate) struct FindGroup {
    asks: mpsc::Sender<Ask>,
}

impl FindGroup {
    pub(crate) fn start(collection: Collection<Document>) -> Self {
        let asks = gather(MOST_IDS, move |asks| answer(collection.clone(), asks));
        Self { asks }
    }

    /// The document of this id, if there is one.
    pub(crate) async fn find(&self, id: String) -> Result<Option<Document>, StorageError> {
        let (reply, answer) = oneshot::channel();
        let asked = self.asks.send(Ask { id, reply }).await;
        asked.map_err(|_| StorageError::ShuttingDown)?;
        answer.await.map_err(|_| StorageError::ShuttingDown)?
    }
}

async fn answer(collection: Collection<Document>, asks: Vec<Ask>) {
    match find_all(&collection, &asks).await {
        Ok(found) => {
            for ask in asks {
                let answer = found.get(&ask.id).cloned();
                ask.reply.send(Ok(answer)).ok();
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for ask in asks {
                ask.reply
                    .send(Err(StorageError::Batch(Arc::clone(&error))))
                    .ok();
            }
        }
    }
}

async fn find_all(
    collection: &Collection<Document>,
    asks: &[Ask],
) -> Result<HashMap<String, Document>, StorageError> {
    let mut ids: Vec<&str> = asks.iter().map(|ask| ask.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let limit = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    // With a limit that all can reach, the server closes the cursor with its first and only batch.
    let found: Vec<Document> = collection
        .find(doc! { "_id": { "$in": ids } })
        .limit(limit)
        .batch_size(u32::try_from(limit).unwrap_or(u32::MAX))
        .await?
        .try_collect()
        .await?;
    let by_id = |document: Document| Some((document.get_str("_id").ok()?.to_owned(), document));
    Ok(found.into_iter().filter_map(by_id).collect())
}
