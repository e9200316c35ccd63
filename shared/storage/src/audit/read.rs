//! The log's blocks: events that follow each other, with their links of the chain, in one document each. A document costs
//! the same with one event as with hundreds.

use bson::{Document, RawBsonRef, RawDocumentBuf, doc};
use certfleet_audit::{Entry, Hash};
use futures_util::{Stream, StreamExt, TryStreamExt};

use super::AuditLog;
use super::state::whole;
use crate::collections::AUDIT_LOG;
use crate::documents::binary;
use crate::error::{Corrupt, StorageError};

/// The most events of a block.
const MOST: usize = 512;

const EVENTS: &str = "events";
const LINKS: &str = "links";

/// Events that follow each other, as they were read. Nothing is known of them yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The number of the first.
    pub first: u64,
    /// The lines.
    pub events: Vec<String>,
    /// Their links of the chain.
    pub links: Vec<Hash>,
}

impl Block {
    /// Its entries from the one of this number on.
    pub fn entries_from(self, from: u64) -> impl Iterator<Item = Entry> {
        let entries = self.events.into_iter().zip(self.links);
        (self.first..)
            .zip(entries)
            .map(|(number, (event, link))| Entry {
                number,
                link,
                event,
            })
            .skip_while(move |entry| entry.number < from)
    }
}

impl AuditLog {
    /// The log from the block on that holds the entry `from`, in order.
    pub async fn blocks_from(
        &self,
        from: u64,
    ) -> Result<impl Stream<Item = Result<Block, StorageError>> + Send + Unpin + use<>, StorageError>
    {
        let holds = doc! { "_id": { "$lte": whole(from) } };
        let start = self
            .log()
            .find_one(holds)
            .sort(doc! { "_id": -1 })
            .projection(doc! { "_id": 1 })
            .await?;
        let start = start
            .and_then(|block| block.get_i64("_id").ok())
            .unwrap_or(0);
        let found = self
            .log()
            .clone_with_type::<RawDocumentBuf>()
            .find(doc! { "_id": { "$gte": start } })
            .sort(doc! { "_id": 1 })
            .await?;
        Ok(found
            .map_err(StorageError::from)
            .map(|document| Ok(block(&document?)?))
            .boxed())
    }
}

fn block(document: &RawDocumentBuf) -> Result<Block, Corrupt> {
    let first = document.get_i64("_id").unwrap_or(-1);
    let corrupt = |why: String| Corrupt {
        collection: AUDIT_LOG,
        id: first.to_string(),
        why,
    };
    let events = document
        .get_array(EVENTS)
        .map_err(|error| corrupt(error.to_string()))?;
    let events = events.into_iter().map(|event| {
        let text = event.ok().and_then(RawBsonRef::as_str);
        text.map(str::to_owned)
            .ok_or_else(|| corrupt(format!("{EVENTS}: texts are due")))
    });
    let links = document
        .get_binary(LINKS)
        .ok()
        .and_then(|binary| Hash::all_of(binary.bytes));
    Ok(Block {
        first: u64::try_from(first).map_err(|_| corrupt("its id is no number".to_owned()))?,
        events: events.collect::<Result<_, _>>()?,
        links: links.ok_or_else(|| corrupt(format!("{LINKS}: 32 bytes each are due")))?,
    })
}

/// A block that is being filled.
pub(super) struct Building {
    first: u64,
    events: Vec<String>,
    links: Vec<u8>,
}

impl Building {
    pub(super) fn at(first: u64) -> Self {
        Self {
            first,
            events: Vec::new(),
            links: Vec::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= MOST
    }

    pub(super) fn push(&mut self, event: &str, link: Hash) {
        self.events.push(event.to_owned());
        self.links.extend(link.0);
    }

    pub(super) fn document(self) -> Document {
        doc! { "_id": whole(self.first), EVENTS: self.events, LINKS: binary(&self.links) }
    }
}
