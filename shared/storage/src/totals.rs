//! What there is in the cluster, for `/metrics`: the same whoever asks, and whoever did the work.
//!
//! No figure costs what exists. Entities are counted by the server's metadata; what waits, and what is dead, by an index
//! that has nothing else in it, and up to [`Totals::MOST`]: a crowd is told as at least so many, and in time. How many orders or certificates are in each state is not told: that would take an index
//! of its own on collections that every request writes to.

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{DateTime, Document, doc};
use certfleet_jobs::JobKind;
use futures_util::TryStreamExt;
use mongodb::Database;

use crate::collections::{ACCOUNTS, AUTHORIZATIONS, CERTIFICATES, JOBS, ORDERS};
use crate::error::StorageError;
use crate::jobs::Jobs;

/// Reads what there is in the cluster.
#[derive(Clone)]
pub struct Totals {
    database: Database,
    jobs: Jobs,
}

/// How many there are of each entity. Exact, unless the primary has ended uncleanly: then off by what was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entities {
    /// Accounts, in whatever state.
    pub accounts: u64,
    /// Orders that the retention has left, in whatever state.
    pub orders: u64,
    /// Authorizations that the retention has left, in whatever state.
    pub authorizations: u64,
    /// Certificates, from the moment they are intended.
    pub certificates: u64,
}

/// The jobs of a kind that wait or are in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many there are.
    pub depth: i64,
    /// For how long the oldest of these has been there; zero if there is none.
    pub oldest: Duration,
}

/// The jobs of a kind that have not come to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// Those that wait or are in hand.
    pub waiting: Waiting,
    /// How many are dead.
    pub dead: i64,
}

impl Totals {
    /// The most documents that are looked at for a figure; 200,000 take longer than anybody waits who scrapes metrics.
    pub const MOST: i64 = 50_000;

    pub(crate) fn new(database: &Database, jobs: Jobs) -> Self {
        let database = database.clone();
        Self { database, jobs }
    }

    /// How many there are of each entity.
    pub async fn entities(&self) -> Result<Entities, StorageError> {
        Ok(Entities {
            accounts: self.estimate(ACCOUNTS).await?,
            orders: self.estimate(ORDERS).await?,
            authorizations: self.estimate(AUTHORIZATIONS).await?,
            certificates: self.estimate(CERTIFICATES).await?,
        })
    }

    async fn estimate(&self, collection: &str) -> Result<u64, StorageError> {
        let documents = self.database.collection::<Document>(collection);
        Ok(documents.estimated_document_count().await?)
    }

    /// How many orders wait for their certificate's signature; no more than [`Self::MOST`] are counted.
    pub async fn orders_processing(&self) -> Result<u64, StorageError> {
        // The time is the index's key: without it, all orders would be read.
        let processing = doc! {
            "state.status": "processing", "created_at": { "$gt": DateTime::from_millis(0) },
        };
        let orders = self.database.collection::<Document>(ORDERS);
        let most = Self::MOST.unsigned_abs();
        Ok(orders.count_documents(processing).limit(most).await?)
    }

    /// How many jobs wait and how many are dead, by kind: every kind of this build, and whatever else is there.
    /// No more than [`Self::MOST`] of either are counted.
    pub async fn unfinished(&self) -> Result<BTreeMap<String, Unfinished>, StorageError> {
        let waiting = self.waiting().await?.into_iter();
        let mut kinds: BTreeMap<_, Unfinished> = waiting
            .map(|(kind, waiting)| (kind, Unfinished { waiting, dead: 0 }))
            .collect();
        for (kind, dead) in self.dead().await? {
            kinds.entry(kind).or_default().dead = dead;
        }
        Ok(kinds)
    }

    /// How many jobs wait, by kind: every kind of this build, and whatever else is there. One read of an index that has nothing
    /// else in it; no more than [`Self::MOST`] are counted.
    pub async fn waiting(&self) -> Result<BTreeMap<String, Waiting>, StorageError> {
        let known = JobKind::ALL.iter().map(|kind| kind.name().to_owned());
        let mut kinds: BTreeMap<_, Waiting> =
            known.map(|kind| (kind, Waiting::default())).collect();
        for (kind, depth, oldest) in self.jobs.depth_up_to(Some(Self::MOST)).await? {
            kinds.insert(kind, Waiting { depth, oldest });
        }
        Ok(kinds)
    }

    async fn dead(&self) -> Result<Vec<(String, i64)>, StorageError> {
        let pipeline = [
            doc! { "$match": { "died_at": { "$exists": true } } },
            doc! { "$limit": Self::MOST },
            doc! { "$group": { "_id": "$kind", "count": { "$sum": 1_i64 } } },
        ];
        let jobs = self.database.collection::<Document>(JOBS);
        let rows: Vec<Document> = jobs.aggregate(pipeline).await?.try_collect().await?;
        Ok(rows
            .iter()
            .map(|row| {
                let kind = row.get_str("_id").unwrap_or_default().to_owned();
                (kind, row.get_i64("count").unwrap_or_default())
            })
            .collect())
    }
}
