//! A set of writes that is applied as a whole or not at all.

use bson::{Bson, Document};

use certfleet_audit::Event;

use crate::error::{CommitError, StorageError};

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

    /// The error that says that another was faster with this document.
    pub(crate) fn changed(&self) -> CommitError {
        CommitError::Changed {
            collection: self.collection,
            id: self.id_text(),
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
    /// A document that is to be there afterwards. The pipeline makes it of nothing but its id, or decides what becomes of
    /// it if it is there already; it may use the server's time. It is never too late.
    Ensure { row: Row, pipeline: Vec<Document> },
    /// A document that is to go, and must be as `guard` says.
    Remove { row: Row, guard: Document },
}

impl Write {
    pub(crate) fn row(&self) -> &Row {
        match self {
            Self::Insert { row, .. }
            | Self::Update { row, .. }
            | Self::Ensure { row, .. }
            | Self::Remove { row, .. } => row,
        }
    }
}

/// A set of writes that is applied as a whole or not at all. Built by the repositories.
#[derive(Debug, Clone, Default)]
#[must_use = "a unit does nothing until it is committed"]
pub struct Unit {
    pub(crate) writes: Vec<Write>,
    /// What is put on record beside them, in the order in which it happened: lines.
    pub(crate) events: Vec<String>,
}

impl Unit {
    pub(crate) fn of(write: Write) -> Self {
        Self {
            writes: vec![write],
            events: Vec::new(),
        }
    }

    /// Puts an act on record if the unit is applied, and only then.
    pub fn recording(mut self, event: &Event) -> Result<Self, StorageError> {
        let line = event
            .line()
            .map_err(|error| StorageError::Unrecordable(error.to_string()))?;
        self.events.push(line);
        Ok(self)
    }

    /// Both, or neither.
    pub fn and(mut self, other: Self) -> Self {
        self.writes.extend(other.writes);
        self.events.extend(other.events);
        self
    }
}
