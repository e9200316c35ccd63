//! Claiming: one transaction takes as many jobs as there are free hands.

use std::time::Duration;

use bson::{Document, doc};
use certfleet_domain::{Clock, LeaseToken, ServerId};
use certfleet_jobs::{JobKind, Lease};
use futures_util::TryStreamExt;
use mongodb::{ClientSession, Database};
use rand::RngCore;

use super::document::{self, claim};
use super::share::buckets_of;
use super::{BUCKETS, document::later};
use crate::collections::JOBS;
use crate::error::StorageError;
use crate::metrics::Metrics;
use crate::tx::{Abort, Body, run_tx};

/// One process's way of claiming. There is one per process: claims of one process do not race each other.
pub struct Claimer {
    database: Database,
    metrics: Metrics,
    me: ServerId,
    kinds: Vec<JobKind>,
    lease: Duration,
    mine: Vec<i32>,
}

impl Claimer {
    /// What others have left lying this long is anybody's.
    pub const STEAL_AFTER: Duration = Duration::from_secs(2);

    pub(super) fn new(
        database: Database,
        metrics: Metrics,
        me: ServerId,
        kinds: Vec<JobKind>,
        lease: Duration,
    ) -> Self {
        Self {
            database,
            metrics,
            me,
            kinds,
            lease,
            mine: (0..BUCKETS).collect(),
        }
    }

    /// Takes note of who is alive, and so of which buckets are ours.
    pub fn share_with(&mut self, live: &[ServerId]) {
        self.mine = buckets_of(self.me, live);
    }

    /// How long a lease lasts unless it is renewed.
    pub fn lease_time(&self) -> Duration {
        self.lease
    }

    /// Claims up to `most` due jobs of our own buckets, oldest first.
    pub async fn claim(
        &self,
        most: usize,
        clock: &dyn Clock,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Vec<Lease>, StorageError> {
        let token = LeaseToken::generate(clock, rng);
        self.take(
            token,
            doc! { "bucket": { "$in": &self.mine } },
            Duration::ZERO,
            most,
        )
        .await
    }

    /// Claims up to `most` jobs of any bucket that are overdue by [`Self::STEAL_AFTER`].
    pub async fn steal(
        &self,
        most: usize,
        clock: &dyn Clock,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Vec<Lease>, StorageError> {
        let token = LeaseToken::generate(clock, rng);
        let all: Vec<i32> = (0..BUCKETS).collect();
        self.take(
            token,
            doc! { "bucket": { "$in": all } },
            Self::STEAL_AFTER,
            most,
        )
        .await
    }

    async fn take(
        &self,
        token: LeaseToken,
        whose: Document,
        overdue_by: Duration,
        most: usize,
    ) -> Result<Vec<Lease>, StorageError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let milliseconds = i64::try_from(overdue_by.as_millis()).unwrap_or(i64::MAX);
        let mut filter = doc! {
            "claimable_at": { "$exists": true },
            "kind": { "$in": document::names(&self.kinds) },
            "$expr": { "$lte": ["$claimable_at", { "$subtract": ["$$NOW", milliseconds] }] },
        };
        filter.extend(whose);
        let mut body = Take {
            claimer: self,
            token,
            filter,
            most: i64::try_from(most).unwrap_or(i64::MAX),
        };
        let claimed = run_tx(self.database.client(), &self.metrics, "claim", &mut body).await?;
        let documents = match claimed {
            Ok(documents) => documents,
            Err(Nothing) => return Ok(Vec::new()),
        };
        let mut leases = Vec::with_capacity(documents.len());
        for before in &documents {
            match document::leased(before, token) {
                Ok(lease) => leases.push(lease),
                Err(corrupt) => {
                    tracing::error!(%corrupt, "a job cannot be read; it is set aside");
                    self.set_aside(before, &corrupt.why).await?;
                }
            }
        }
        self.metrics.claims.inc_by(leases.len() as u64);
        Ok(leases)
    }

    /// A job that does not parse is dead, not an obstacle to all others.
    async fn set_aside(&self, before: &Document, why: &str) -> Result<(), StorageError> {
        let update = vec![
            doc! { "$set": { "state": "dead", "died_at": "$$NOW", "errors": [{ "at": "$$NOW", "error": { "$literal": why } }] } },
            doc! { "$unset": ["claimable_at", "lease"] },
        ];
        let id = before.get("_id").cloned().unwrap_or(bson::Bson::Null);
        self.database
            .collection::<Document>(JOBS)
            .update_one(doc! { "_id": id }, update)
            .await?;
        Ok(())
    }

    /// Puts off the end of all leases of these tokens. Gives how many jobs are still ours.
    pub async fn renew(&self, tokens: &[LeaseToken]) -> Result<u64, StorageError> {
        let tokens: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        let update = vec![doc! { "$set": { "claimable_at": later(self.lease) } }];
        let filter = doc! {
            "claimable_at": { "$exists": true },
            "bucket": { "$in": (0..BUCKETS).collect::<Vec<_>>() },
            "state": "leased",
            "lease.token": { "$in": tokens },
        };
        let result = self
            .database
            .collection::<Document>(JOBS)
            .update_many(filter, update)
            .await?;
        Ok(result.matched_count)
    }
}

struct Nothing;

struct Take<'a> {
    claimer: &'a Claimer,
    token: LeaseToken,
    filter: Document,
    most: i64,
}

impl Body for Take<'_> {
    type Output = Vec<Document>;
    type Refusal = Nothing;

    async fn run(&mut self, session: &mut ClientSession) -> Result<Vec<Document>, Abort<Nothing>> {
        let jobs = self.claimer.database.collection::<Document>(JOBS);
        let mut cursor = jobs
            .find(self.filter.clone())
            .sort(doc! { "claimable_at": 1 })
            .limit(self.most)
            .session(&mut *session)
            .await?;
        let due: Vec<Document> = cursor.stream(session).try_collect().await?;
        if due.is_empty() {
            return Err(Abort::Refused(Nothing));
        }
        let ids: Vec<_> = due
            .iter()
            .filter_map(|job| job.get("_id").cloned())
            .collect();
        let owner = self.claimer.me.to_string();
        jobs.update_many(
            doc! { "_id": { "$in": ids } },
            claim(self.token, &owner, self.claimer.lease),
        )
        .session(session)
        .await?;
        Ok(due)
    }
}
