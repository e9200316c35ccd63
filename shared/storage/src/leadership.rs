//! A role that one process at a time may have: a lease judged by the server's time.

use std::time::Duration;

use bson::{Bson, Document, doc};
use certfleet_domain::ServerId;
use futures_util::TryStreamExt;
use mongodb::error::Error as MongoError;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};

use crate::collections::LEASES;
use crate::error::{StorageError, is_duplicate_key};
use crate::group::{Row, Unit, Write};

/// The role of the scheduler that leads.
pub const SCHEDULER: &str = "scheduler";

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
        match self.take(me, ttl).await {
            // Two that were the first to ask for the role; the other's lease is there now.
            Err(error) if is_duplicate_key(&error) => Ok(self.take(me, ttl).await?),
            result => Ok(result?),
        }
    }

    /// One update decides, on the server: it writes nothing where another has the role.
    async fn take(&self, me: ServerId, ttl: Duration) -> Result<Option<Term>, MongoError> {
        let me = me.to_string();
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let mine = doc! { "$eq": ["$holder", &me] };
        // A lease that never was has no end, which sorts before all times.
        let over = doc! { "$lte": ["$expires_at", "$$NOW"] };
        // One who let the lease run out begins a new term even if nobody else took it: what it did in between is void.
        let next = doc! { "$add": [{ "$ifNull": ["$term", 0_i64] }, 1_i64] };
        let taken = doc! {
            "_id": self.role,
            "term": { "$cond": [&over, next, "$term"] },
            "holder": &me,
            "expires_at": { "$add": ["$$NOW", ttl] },
        };
        let update =
            vec![doc! { "$replaceWith": { "$cond": [{ "$or": [mine, over] }, taken, "$$ROOT"] } }];
        let lease = self
            .collection
            .find_one_and_update(doc! { "_id": self.role }, update)
            .upsert(true)
            .return_document(ReturnDocument::After)
            .await?;
        Ok(lease
            .filter(|lease| lease.get_str("holder").is_ok_and(|holder| holder == me))
            .and_then(|lease| lease.get_i64("term").ok())
            .map(Term))
    }

    /// Gives the role up at once, if it is still ours.
    pub async fn step_down(&self, me: ServerId, term: Term) -> Result<(), StorageError> {
        let filter = doc! { "_id": self.role, "holder": me.to_string(), "term": term.0 };
        self.collection
            .update_one(filter, vec![doc! { "$set": { "expires_at": "$$NOW" } }])
            .await?;
        Ok(())
    }

    /// The unit that does nothing but hold in this term, and only in it. What it is joined with is done while the role is
    /// this holder's, or never: it writes to the lease, so that a change of hands cannot happen beside it.
    pub(crate) fn in_term(role: &'static str, me: ServerId, term: Term) -> Unit {
        Unit::of(Write::Update {
            row: Row::new(LEASES, role),
            guard: doc! { "holder": me.to_string(), "term": term.0 },
            update: Bson::Document(doc! { "$currentDate": { "acted_at": true } }),
        })
    }

    /// How long another than `me` has the role from now, if another has it: to the millisecond, and rounded up.
    pub async fn held_by_another(&self, me: ServerId) -> Result<Option<Duration>, StorageError> {
        let left = doc! { "$subtract": ["$expires_at", "$$NOW"] };
        let pipeline = [
            doc! { "$match": { "_id": self.role, "holder": { "$ne": me.to_string() } } },
            doc! { "$project": { "left": left } },
        ];
        let lease = self
            .collection
            .aggregate(pipeline)
            .await?
            .try_next()
            .await?;
        let left = lease.and_then(|lease| u64::try_from(lease.get_i64("left").ok()?).ok());
        Ok(left
            .filter(|left| *left > 0)
            .map(|left| Duration::from_millis(left + 1)))
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
