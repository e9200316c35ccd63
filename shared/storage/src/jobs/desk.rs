//! What people do to jobs: look through them, give dead ones another chance, or put them away.

use bson::{Document, doc};
use certfleet_audit::Event;
use certfleet_jobs::{JobKey, JobKind};
use futures_util::TryStreamExt;

use super::document::JobState;
use super::queue::Jobs;
use super::record::{JobRecord, record};
use crate::audit::recorded::{Change, recorded};
use crate::error::{Corrupt, StorageError};

/// Which jobs to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Those in this state.
    pub state: JobState,
    /// Those of this kind only.
    pub kind: Option<JobKind>,
    /// At most so many.
    pub most: i64,
}

impl Jobs {
    /// Jobs in a state, and those that cannot be read. Those that wait or are in hand come by when they are due; those
    /// that have ended, the latest first.
    pub async fn list(
        &self,
        wanted: Wanted,
    ) -> Result<(Vec<JobRecord>, Vec<Corrupt>), StorageError> {
        // Each filter names the one index that has no other jobs in it than those in question.
        let (mut filter, order) = match wanted.state {
            JobState::Queued | JobState::Leased => (
                doc! { "bucket": { "$gte": 0 }, "claimable_at": { "$exists": true } },
                doc! { "claimable_at": 1, "_id": 1 },
            ),
            JobState::Dead => (
                doc! { "died_at": { "$exists": true } },
                doc! { "died_at": -1 },
            ),
            JobState::Done | JobState::Discarded => (
                doc! { "finished_at": { "$exists": true } },
                doc! { "finished_at": -1 },
            ),
        };
        filter.insert("state", wanted.state.name());
        if let Some(kind) = wanted.kind {
            filter.insert("kind", kind.name());
        }
        let found: Vec<Document> = self
            .jobs()
            .find(filter)
            .sort(order)
            .limit(wanted.most)
            .await?
            .try_collect()
            .await?;
        let (mut jobs, mut unfit) = (Vec::new(), Vec::new());
        for job in &found {
            match record(job) {
                Ok(job) => jobs.push(job),
                Err(corrupt) => unfit.push(corrupt),
            }
        }
        Ok((jobs, unfit))
    }

    /// Makes a dead job due at once, its attempts counted from the start; its errors stay with it. Says whether it was
    /// dead.
    pub async fn retry(&self, key: &JobKey, event: &Event) -> Result<bool, StorageError> {
        self.change_dead(
            key,
            vec![
                doc! { "$set": {
                    "state": JobState::Queued.name(), "claimable_at": "$$NOW", "attempt": 0,
                } },
                doc! { "$unset": "died_at" },
            ],
            event,
        )
        .await
    }

    /// Puts a dead job away: it is kept as long as a finished one. Says whether it was dead.
    pub async fn discard(&self, key: &JobKey, event: &Event) -> Result<bool, StorageError> {
        self.change_dead(
            key,
            vec![
                doc! { "$set": { "state": JobState::Discarded.name(), "finished_at": "$$NOW" } },
                doc! { "$unset": "died_at" },
            ],
            event,
        )
        .await
    }

    async fn change_dead(
        &self,
        key: &JobKey,
        update: Vec<Document>,
        event: &Event,
    ) -> Result<bool, StorageError> {
        let dead = doc! { "_id": key.as_str(), "state": JobState::Dead.name() };
        let change = Change::Update(update);
        recorded(&self.jobs(), dead, change, event, &self.metrics).await
    }
}
