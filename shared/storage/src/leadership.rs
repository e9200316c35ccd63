//! A role that one process at a time may have: a lease judged by the server's time.

use std::time::Duration;

use bson::{Document, doc};
use certfleet_domain::ServerId;
use mongodb::error::{ErrorKind, WriteFailure};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};

use crate::collections::LEASES;
use crate::error::StorageError;

/// Which holding of the role this is; grows each time the role changes hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub i64);

/// The lease on one role.
#[derive(Clone)]
pub struct Leadership {
    collection: Collection<Document>,
    role: &'static str,
}

impl Leadership {
    pub(crate) fn new(database: &Database, role: &'static str) -> Self {
        Self {
            collection: database.collection(LEASES),
            role,
        }
    }

    /// Takes the role or keeps it, for `ttl` from now. `None` if another has it.
    pub async fn hold(&self, me: ServerId, ttl: Duration) -> Result<Option<Term>, StorageError> {
        let me = me.to_string();
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let filter = doc! {
            "_id": self.role,
            "$or": [
                { "holder": &me },
                { "$expr": { "$lte": ["$expires_at", "$$NOW"] } },
            ],
        };
        // One who let the lease run out begins a new term even if nobody else took it: what it did in between is void.
        let kept =
            doc! { "$and": [{ "$eq": ["$holder", &me] }, { "$gt": ["$expires_at", "$$NOW"] }] };
        let term =
            doc! { "$cond": [kept, "$term", { "$add": [{ "$ifNull": ["$term", 0_i64] }, 1_i64] }] };
        let update = vec![
            doc! { "$set": { "term": term, "holder": &me, "expires_at": { "$add": ["$$NOW", ttl] } } },
        ];
        let found = self
            .collection
            .find_one_and_update(filter, update)
            .upsert(true)
            .return_document(ReturnDocument::After)
            .await;
        match found {
            Ok(lease) => Ok(lease.and_then(|lease| lease.get_i64("term").ok()).map(Term)),
            Err(error) if is_duplicate(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the role up at once, if it is still ours.
    pub async fn step_down(&self, me: ServerId, term: Term) -> Result<(), StorageError> {
        let filter = doc! { "_id": self.role, "holder": me.to_string(), "term": term.0 };
        self.collection
            .update_one(filter, vec![doc! { "$set": { "expires_at": "$$NOW" } }])
            .await?;
        Ok(())
    }

    /// Who has the role, if anybody has.
    pub async fn holder(&self) -> Result<Option<(ServerId, Term)>, StorageError> {
        let filter = doc! { "_id": self.role, "$expr": { "$gt": ["$expires_at", "$$NOW"] } };
        let lease = self.collection.find_one(filter).await?;
        Ok(lease.and_then(|lease| {
            Some((
                lease.get_str("holder").ok()?.parse().ok()?,
                Term(lease.get_i64("term").ok()?),
            ))
        }))
    }
}

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    const DUPLICATE_KEY: i32 = 11000;
    match error.kind.as_ref() {
        ErrorKind::Command(failure) => failure.code == DUPLICATE_KEY,
        ErrorKind::Write(WriteFailure::WriteError(failure)) => failure.code == DUPLICATE_KEY,
        _ => false,
    }
}
