//! The queue as the rest of certfleet sees it.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use bson::{Bson, Document, doc};
use certfleet_domain::{AttemptTerms, ServerId};
use certfleet_jobs::{Job, JobKey, JobKind, Lease, Outcome, Progress};
use futures_util::TryStreamExt;
use mongodb::Database;
use mongodb::options::Hint;

use super::claim::Claimer;
use super::document::{self, Due, JobState};
use super::record::{self, JobRecord};
use crate::collections::{AUTHORIZATIONS, JOBS, JOBS_DUE, ORDERS};
use crate::error::{CommitError, StorageError};
use crate::group::{GroupCommit, Unit};
use crate::metrics::Metrics;

/// How many documents a recovery looks at together.
const RECOVERED_AT_ONCE: usize = 500;

/// The queue.
#[derive(Clone)]
pub struct Jobs {
    database: Database,
    group: GroupCommit,
    pub(super) metrics: Metrics,
}

/// How many jobs a recovery brought back, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Challenges that were `processing` with no job.
    pub validations: usize,
    /// Orders that were `processing` with no job.
    pub signatures: usize,
}

impl Jobs {
    pub(crate) fn new(database: Database, group: GroupCommit, metrics: Metrics) -> Self {
        Self {
            database,
            group,
            metrics,
        }
    }

    /// The unit that enqueues a job, to be committed with the change that calls for it. Due at once. Enqueued twice,
    /// it is there once.
    pub fn enqueue(&self, job: &Job) -> Result<Unit, StorageError> {
        self.enqueue_due(job, Due::Now)
    }

    /// The same, due when it is said. A worker notices it within its poll interval.
    pub fn enqueue_due(&self, job: &Job, due: Due) -> Result<Unit, StorageError> {
        document::ensure(job, due)
    }

    /// Says how far a job is, for those who look at it. False if the lease was lost.
    pub async fn report(&self, lease: &Lease, progress: &Progress) -> Result<bool, StorageError> {
        let mut ours = document::held(lease);
        ours.insert("_id", lease.key.as_str());
        let reported = self
            .jobs()
            .update_one(ours, document::report(progress))
            .await?;
        Ok(reported.matched_count == 1)
    }

    /// This process's claimer, for these kinds.
    pub fn claimer(&self, me: ServerId, kinds: Vec<JobKind>, lease: Duration) -> Claimer {
        Claimer::new(
            self.database.clone(),
            self.metrics.clone(),
            me,
            kinds,
            lease,
        )
    }

    /// Writes a job's result and ends its lease, in one transaction. If the lease was lost, nothing is written and
    /// the error is [`CommitError::Changed`] of the collection `jobs`.
    ///
    /// The lease is borrowed, not taken: when `result` itself is refused because its documents have changed, the
    /// holder may decide anew and write again.
    pub async fn complete(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        result: Unit,
    ) -> Result<(), CommitError> {
        self.group
            .commit(document::release(lease, outcome).and(result))
            .await
    }

    /// Writes a step of the job, and keeps it in hand. If the lease was lost meanwhile, nothing is written, and the error is
    /// [`CommitError::Changed`] of the collection `jobs`.
    pub async fn step(&self, lease: &Lease, result: Unit) -> Result<(), CommitError> {
        self.group.commit(document::hold(lease).and(result)).await
    }

    /// Where the job stands; `None` if it never was or is long finished.
    pub async fn state(&self, key: &JobKey) -> Result<Option<JobState>, StorageError> {
        let found = self
            .jobs()
            .find_one(doc! { "_id": key.as_str() })
            .projection(doc! { "state": 1 })
            .await?;
        Ok(found.and_then(|job| JobState::of_name(job.get_str("state").ok()?)))
    }

    /// All that is kept of the job; `None` if it never was or is long finished.
    pub async fn find(&self, key: &JobKey) -> Result<Option<JobRecord>, StorageError> {
        let found = self.jobs().find_one(doc! { "_id": key.as_str() }).await?;
        Ok(found.as_ref().map(record::record).transpose()?)
    }

    /// How many jobs of each kind wait or are being done, and the age of the oldest of them.
    pub async fn depth(&self) -> Result<Vec<(String, i64, Duration)>, StorageError> {
        self.depth_up_to(None).await
    }

    /// The same, of so many jobs at most: where there are more, counts and ages are at least these.
    pub(crate) async fn depth_up_to(
        &self,
        most: Option<i64>,
    ) -> Result<Vec<(String, i64, Duration)>, StorageError> {
        // The bucket is the index's first key: without it, all finished jobs would be read.
        let waiting =
            doc! { "$match": { "bucket": { "$gte": 0 }, "claimable_at": { "$exists": true } } };
        let mut pipeline = vec![waiting];
        pipeline.extend(most.map(|most| doc! { "$limit": most }));
        pipeline.extend([
            doc! { "$group": { "_id": "$kind", "count": { "$sum": 1_i64 }, "oldest": { "$min": "$created_at" } } },
            doc! { "$set": { "age": { "$subtract": ["$$NOW", "$oldest"] } } },
        ]);
        let rows: Vec<Document> = self
            .jobs()
            .aggregate(pipeline)
            .hint(Hint::Name(JOBS_DUE.to_owned()))
            .await?
            .try_collect()
            .await?;
        Ok(rows
            .iter()
            .map(|row| {
                let age = row.get_i64("age").unwrap_or_default().max(0).unsigned_abs();
                let kind = row.get_str("_id").unwrap_or_default().to_owned();
                (
                    kind,
                    row.get_i64("count").unwrap_or_default(),
                    Duration::from_millis(age),
                )
            })
            .collect())
    }

    /// Brings back the jobs of orders and challenges that are `processing`, were made longer than `older_than` ago, and
    /// have none. They are written together, so there should be none; a restored backup may hold some.
    pub async fn recover(&self, older_than: Duration) -> Result<Recovered, StorageError> {
        let orders = doc! { "state.status": "processing" };
        let authorizations = doc! { "state": "pending", "challenges.state.status": "processing" };
        Ok(Recovered {
            signatures: self.revive(ORDERS, orders, older_than, sign_job).await?,
            validations: self
                .revive(AUTHORIZATIONS, authorizations, older_than, validate_jobs)
                .await?,
        })
    }

    /// Enqueues the jobs that documents matching `filter` call for and that are not there. Gives how many.
    async fn revive(
        &self,
        collection: &str,
        mut filter: Document,
        older_than: Duration,
        jobs_of: fn(&Document) -> Vec<Job>,
    ) -> Result<usize, StorageError> {
        let milliseconds = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        filter.insert(
            "$expr",
            doc! { "$lte": ["$created_at", { "$subtract": ["$$NOW", milliseconds] }] },
        );
        let mut pages = self
            .database
            .collection::<Document>(collection)
            .find(filter)
            .await?
            .try_chunks(RECOVERED_AT_ONCE);
        let mut revived = 0;
        while let Some(page) = pages.try_next().await.map_err(|failure| failure.1)? {
            let due: Vec<Job> = page.iter().flat_map(jobs_of).collect();
            for job in self.missing(due).await? {
                self.ensure(&job).await?;
                revived += 1;
            }
        }
        Ok(revived)
    }

    /// Those of these jobs that are not there, in whatever state.
    async fn missing(&self, due: Vec<Job>) -> Result<Vec<Job>, StorageError> {
        let keys: Vec<String> = due.iter().map(|job| job.key().to_string()).collect();
        let there: HashSet<String> = self
            .jobs()
            .find(doc! { "_id": { "$in": keys } })
            .projection(doc! { "_id": 1 })
            .await?
            .try_filter_map(async |job| Ok(job.get_str("_id").ok().map(str::to_owned)))
            .try_collect()
            .await?;
        Ok(due
            .into_iter()
            .filter(|job| !there.contains(job.key().as_str()))
            .collect())
    }

    /// Enqueues one job on its own.
    pub async fn ensure(&self, job: &Job) -> Result<(), StorageError> {
        match self.group.commit(document::ensure(job, Due::Now)?).await {
            Err(CommitError::Storage(error)) => Err(error),
            // Where two upserts of one key met, the other's job is there.
            Ok(()) | Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Ok(()),
        }
    }

    pub(super) fn jobs(&self) -> mongodb::Collection<Document> {
        self.database.collection(JOBS)
    }
}

fn sign_job(order: &Document) -> Vec<Job> {
    id_in(order, "_id")
        .map(|id| Job::SignCertificate {
            order: id,
            authority: id_in(order, "authority"),
        })
        .into_iter()
        .collect()
}

fn validate_jobs(authorization: &Document) -> Vec<Job> {
    let (Some(id), Ok(challenges)) = (
        id_in(authorization, "_id"),
        authorization.get_array("challenges"),
    ) else {
        return Vec::new();
    };
    challenges
        .iter()
        .filter_map(Bson::as_document)
        .filter(|challenge| {
            challenge
                .get_document("state")
                .and_then(|state| state.get_str("status"))
                .is_ok_and(|status| status == "processing")
        })
        .filter_map(|challenge| {
            Some(Job::ValidateChallenge {
                account: id_in(authorization, "account"),
                authorization: id,
                challenge: id_in(challenge, "id")?,
                // Its terms are lost with it: what it was charged is not given back.
                terms: AttemptTerms::default(),
            })
        })
        .collect()
}

fn id_in<T: FromStr>(document: &Document, field: &str) -> Option<T> {
    document.get_str(field).ok()?.parse().ok()
}
