//! What a step can do: operations that add to the schema, and may be repeated.

use bson::{Document, doc};
use mongodb::Database;
use mongodb::error::{Error as MongoError, ErrorKind};

/// The server's answer when the collection is there already.
const NAMESPACE_EXISTS: i32 = 48;

/// The server's answer when there is no such index.
const INDEX_NOT_FOUND: i32 = 27;

/// One change of the schema. There is no variant that takes away what a replica could need: an index that goes makes
/// queries slower, never wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operation {
    /// Makes a collection, so that no transaction has to: two that make the same one conflict.
    CreateCollection(&'static str),
    /// Makes indexes of a collection, in one pass over it.
    CreateIndexes(&'static str, Vec<Index>),
    /// Sets fields in the documents that match the filter; once they are set, it matches them no more. For what is found by them:
    /// a document that a former build writes afterwards has none until this one writes it.
    Fill(&'static str, Document, Vec<Document>),
    /// Removes an index by its name. Only where another serves the same queries, and no build names it in one.
    DropIndex(&'static str, &'static str),
}

/// An index, as `createIndexes` takes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Index(Document);

impl Index {
    /// An index over these keys. Its name says what it is for, and stands in the server's messages.
    pub(crate) fn new(name: &str, keys: Document) -> Self {
        Self(doc! { "key": keys, "name": name })
    }

    /// No two documents have the same keys.
    pub(crate) fn unique(mut self) -> Self {
        self.0.insert("unique", true);
        self
    }

    /// Only documents that match `filter` are in it. A query has to imply the filter to use the index.
    pub(crate) fn only(mut self, filter: Document) -> Self {
        self.0.insert("partialFilterExpression", filter);
        self
    }

    /// Documents are removed this many seconds after the time in the one key.
    pub(crate) fn expire_after_seconds(mut self, seconds: i32) -> Self {
        self.0.insert("expireAfterSeconds", seconds);
        self
    }
}

impl Operation {
    /// The command that carries it out: what the server is told, and what the step's checksum is made of.
    pub(crate) fn command(&self) -> Document {
        match self {
            Self::CreateCollection(name) => doc! { "create": name },
            Self::CreateIndexes(collection, indexes) => doc! {
                "createIndexes": collection,
                "indexes": indexes.iter().map(|index| &index.0).collect::<Vec<_>>(),
                // All data-bearing members, which is the default, would let one that is down stop the migration.
                "commitQuorum": "majority",
            },
            Self::Fill(collection, filter, pipeline) => doc! {
                "update": collection,
                "updates": [{ "q": filter, "u": pipeline, "multi": true }],
                "writeConcern": { "w": "majority" },
            },
            Self::DropIndex(collection, name) => doc! { "dropIndexes": collection, "index": name },
        }
    }

    /// Carries it out; nothing happens if it has been already.
    pub(crate) async fn apply(&self, database: &Database) -> Result<(), MongoError> {
        match database.run_command(self.command()).await {
            Ok(_) => Ok(()),
            Err(error) if self.was_done(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the error only says that it is done. An index of the same definition is no error to the server.
    fn was_done(&self, error: &MongoError) -> bool {
        match (self, error.kind.as_ref()) {
            (Self::CreateCollection(_), ErrorKind::Command(failure)) => {
                failure.code == NAMESPACE_EXISTS
            }
            (Self::DropIndex(..), ErrorKind::Command(failure)) => failure.code == INDEX_NOT_FOUND,
            _ => false,
        }
    }
}
