//! A set of writes that is applied as a whole or not at all.

use bson::{Bson, Document, doc};

/// Names one document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) collection: &'static str,
    pub(crate) id: Bson,
}

impl Row {
    pub(crate) fn new(collection: &'static str, id: impl Into<Bson>) -> Self {
        Self {
            collection,
            id: id.into(),
        }
    }

    pub(crate) fn id_text(&self) -> String {
        match &self.id {
            Bson::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// One write of one document.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// A document that must not be there yet.
    Insert { row: Row, document: Document },
    /// A change of a document that must be as `guard` says, field by field.
    Update {
        row: Row,
        guard: Document,
        update: Bson,
    },
    /// A document that is to be there afterwards; if it is there already, it stays as it is. The pipeline makes it
    /// of nothing but its id, and so may use the server's time.
    Ensure { row: Row, pipeline: Vec<Document> },
}

impl Write {
    pub(crate) fn row(&self) -> &Row {
        match self {
            Self::Insert { row, .. } | Self::Update { row, .. } | Self::Ensure { row, .. } => row,
        }
    }

    /// The statement of the `update` command; `None` for an insert.
    pub(crate) fn update_statement(&self) -> Option<Document> {
        match self {
            Self::Insert { .. } => None,
            Self::Update { row, guard, update } => {
                let mut filter = doc! { "_id": row.id.clone() };
                filter.extend(guard.clone());
                Some(doc! { "q": filter, "u": update.clone() })
            }
            Self::Ensure { row, pipeline } => {
                Some(doc! { "q": { "_id": row.id.clone() }, "u": pipeline.clone(), "upsert": true })
            }
        }
    }
}

/// A set of writes that is applied as a whole or not at all. Built by the repositories.
#[derive(Debug, Clone, Default)]
#[must_use = "a unit does nothing until it is committed"]
pub struct Unit {
    pub(crate) writes: Vec<Write>,
}

impl Unit {
    pub(crate) fn of(write: Write) -> Self {
        Self {
            writes: vec![write],
        }
    }

    /// Both, or neither.
    pub fn and(mut self, other: Self) -> Self {
        self.writes.extend(other.writes);
        self
    }
}
