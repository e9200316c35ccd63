//! What there is in the cluster, for `/metrics`: the same whoever asks, and whoever did the work.
//!
//! No figure costs what exists. Entities are counted by the server's metadata; what waits, and what is dead, by an index
//! that has nothing else in it, and up to [`Totals::MOST`]: a crowd is told as at least so many, and in time. How many orders or certificates are in each state is not told: that would take an index
//! of its own on collections that every request writes to.

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{DateTime, Document, doc};
use certfleet_domain::{Drift, Setback, Timestamp};
use certfleet_jobs::JobKind;
use futures_util::TryStreamExt;
use mongodb::Database;

use crate::collections::{
    ACCOUNTS, AUTHORIZATIONS, CERTIFICATES, JOBS, MANAGED, ORDERS, PLACEMENTS, WATCHES,
};
use crate::error::StorageError;
use crate::jobs::Jobs;
use crate::repositories::WantedManaged;

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

/// How the fleet is. No more than [`Totals::MOST`] are counted of each but of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetTotals {
    /// Managed certificates; an estimate.
    pub managed: u64,
    /// Those whose certificate is not valid any more.
    pub expired: u64,
    /// Those that fail day by day.
    pub failing: u64,
    /// Certificates that are to be delivered somewhere.
    pub pending: u64,
    /// Places where something else is served than should be, or nothing: by what it is, every kind of this build.
    pub drifted: BTreeMap<String, i64>,
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
        self.count_up_to_most(ORDERS, processing).await
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

    /// How the fleet is at this moment.
    pub async fn fleet(&self, now: Timestamp) -> Result<FleetTotals, StorageError> {
        let expired = WantedManaged::Expired(now).filter();
        let failing = WantedManaged::Failing(Setback::WANTS_A_PERSON).filter();
        // The agent is the index's first key: without it, all placements would be read.
        let pending = doc! { "agent": { "$gt": "" }, "next_at": { "$type": "date" } };
        Ok(FleetTotals {
            managed: self.estimate(MANAGED).await?,
            expired: self.count_up_to_most(MANAGED, expired).await?,
            failing: self.count_up_to_most(MANAGED, failing).await?,
            pending: self.count_up_to_most(PLACEMENTS, pending).await?,
            drifted: self.drifted().await?,
        })
    }

    async fn count_up_to_most(
        &self,
        collection: &str,
        filter: Document,
    ) -> Result<u64, StorageError> {
        let documents = self.database.collection::<Document>(collection);
        let most = Self::MOST.unsigned_abs();
        Ok(documents.count_documents(filter).limit(most).await?)
    }

    async fn drifted(&self) -> Result<BTreeMap<String, i64>, StorageError> {
        let pipeline = [
            doc! { "$match": { "finding.first_seen": { "$exists": true } } },
            doc! { "$limit": Self::MOST },
            doc! { "$group": { "_id": "$finding.drift", "count": { "$sum": 1_i64 } } },
        ];
        let watches = self.database.collection::<Document>(WATCHES);
        let rows: Vec<Document> = watches.aggregate(pipeline).await?.try_collect().await?;
        let known = Drift::ALL.iter().map(|drift| (drift.name().to_owned(), 0));
        let mut drifted: BTreeMap<String, i64> = known.collect();
        for row in rows {
            let name = row.get_str("_id").unwrap_or_default().to_owned();
            drifted.insert(name, row.get_i64("count").unwrap_or_default());
        }
        Ok(drifted)
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
