//! Claiming: one command takes as many jobs as there are free hands: those that the change feed told of, or those that
//! are found to be due.
//!
//! It is no transaction, and each job is taken by itself: a worker that is killed in the middle leaves leases behind,
//! which run out, and not locks, which everybody who claims would have to wait for. What bears the claim's token is
//! the claimer's, and is read back by it, whatever the answer to the command was.
//!
//! What is claimed, a majority has: the feed tells of nothing else, and reads see nothing else. The claim of what the feed
//! told of waits for no majority: a failover may undo it; the job is then claimed again, and the first claimer's result,
//! which names its token, is refused. Whoever looks for what is due does wait, or would find the same jobs again.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use bson::{Bson, Document, doc};
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{Clock, LeaseToken, ServerId};
use certfleet_jobs::{JobKey, JobKind, Lease, Room};
use futures_util::TryStreamExt;
use mongodb::options::{Hint, ReadConcern};
use mongodb::{Collection, Database};
use rand::RngCore;

use super::BUCKETS;
use super::document::{self, JobState, claim, later, party};
use super::feed::HeardJob;
use super::share::buckets_of;
use crate::collections::{JOBS, JOBS_DUE};
use crate::error::{Corrupt, StorageError};
use crate::metrics::Metrics;

/// How long the database may take to mark jobs: one that is locked holds up those behind it.
const MARK_WITHIN: Duration = Duration::from_secs(2);

/// One process's way of claiming. There is one per process: claims of one process do not race each other.
pub struct Claimer {
    database: Database,
    metrics: Metrics,
    me: ServerId,
    /// What this build does, and what of it is claimed at present.
    all_kinds: Vec<JobKind>,
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
            all_kinds: kinds.clone(),
            kinds,
            lease,
            mine: (0..BUCKETS).collect(),
        }
    }

    /// Takes note of who is alive, and so of which buckets are ours.
    pub fn share_with(&mut self, live: &[ServerId]) {
        self.mine = buckets_of(self.me, live);
    }

    /// Jobs of these kinds are not claimed until this is called again.
    pub fn leave_out(&mut self, paused: &BTreeSet<String>) {
        self.kinds = self.all_kinds.clone();
        self.kinds.retain(|kind| !paused.contains(kind.name()));
    }

    /// The buckets that are ours.
    pub fn buckets(&self) -> &[i32] {
        &self.mine
    }

    /// How long a lease lasts unless it is renewed.
    pub fn lease_time(&self) -> Duration {
        self.lease
    }

    /// Claims due jobs of our own buckets, the most urgent first and then the oldest, as many as there is room for.
    pub async fn claim(
        &self,
        room: &mut Room,
        clock: &dyn Clock,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Vec<Lease>, StorageError> {
        let token = LeaseToken::generate(clock, rng);
        let whose = doc! {
            "bucket": { "$in": &self.mine },
            "queue": document::queues(room.lane()),
        };
        self.take(token, room, Search::by_queue(whose)).await
    }

    /// Claims those of these jobs, which the feed told of, that are still to be had.
    pub async fn claim_heard(
        &self,
        heard: &[HeardJob],
        clock: &dyn Clock,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Vec<Lease>, StorageError> {
        let token = LeaseToken::generate(clock, rng);
        let known: Vec<Document> = heard
            .iter()
            .map(|HeardJob(job)| job)
            .filter(|job| {
                let kind = job.get_str("kind").unwrap_or_default();
                self.kinds.iter().any(|known| known.name() == kind)
            })
            .cloned()
            .collect();
        let due = Self::due(&self.kinds, Duration::ZERO);
        self.put_on(token, due, &known, doc! { "w": 1 }).await
    }

    /// Claims jobs of any bucket that are overdue by [`Self::STEAL_AFTER`], as many as there is room for.
    pub async fn steal(
        &self,
        room: &mut Room,
        clock: &dyn Clock,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Vec<Lease>, StorageError> {
        let token = LeaseToken::generate(clock, rng);
        let whose = doc! { "bucket": all_buckets(), "queue": document::queues(room.lane()) };
        let search = Search {
            overdue_by: Self::STEAL_AFTER,
            ..Search::by_queue(whose)
        };
        self.take(token, room, search).await
    }

    /// Claims due jobs of any bucket that a former build has enqueued, which knew of no queues.
    pub async fn claim_unqueued(
        &self,
        room: &mut Room,
        clock: &dyn Clock,
        rng: &mut (dyn RngCore + Send),
    ) -> Result<Vec<Lease>, StorageError> {
        let token = LeaseToken::generate(clock, rng);
        let search = Search {
            whose: doc! { "bucket": all_buckets(), "queue": Bson::Null },
            order: doc! { "claimable_at": 1 },
            overdue_by: Duration::ZERO,
        };
        self.take(token, room, search).await
    }

    async fn take(
        &self,
        token: LeaseToken,
        room: &mut Room,
        search: Search,
    ) -> Result<Vec<Lease>, StorageError> {
        let mut kinds = self.kinds.clone();
        kinds.retain(|kind| kind.lane() == room.lane());
        let mut filter = Self::due(&kinds, search.overdue_by);
        filter.extend(search.whose);
        let mut due: Vec<Document> = Vec::new();
        while room.hands() > 0 {
            let most = room.hands();
            let found = self.find_due(&filter, &search.order, room).await?;
            let all = found.len() < most;
            let before = due.len();
            due.extend(found.into_iter().filter(|job| room.admit(party(job))));
            // All of a full page admitted: there is no room left. None: those who crowd it are left out from now on.
            if all || due.len() == before + most {
                break;
            }
            let seen: Vec<&str> = due
                .iter()
                .filter_map(|job| job.get_str("_id").ok())
                .collect();
            filter.insert("_id", doc! { "$nin": seen });
        }
        filter.remove("_id");
        let concern = doc! { "w": "majority", "j": true };
        self.put_on(token, filter, &due, concern).await
    }

    /// As many jobs that match as there are hands, in this order, none of a party that there is no room for.
    async fn find_due(
        &self,
        filter: &Document,
        order: &Document,
        room: &Room,
    ) -> Result<Vec<Document>, StorageError> {
        let mut filter = filter.clone();
        let crowded: Vec<&str> = room.crowded().collect();
        if !crowded.is_empty() {
            filter.insert("party", doc! { "$nin": crowded });
        }
        let found = self
            .jobs()
            .find(filter)
            .sort(order.clone())
            .hint(Hint::Name(JOBS_DUE.to_owned()))
            .limit(i64::try_from(room.hands()).unwrap_or(i64::MAX))
            .await?;
        Ok(found.try_collect().await?)
    }

    /// What matches jobs of these kinds that are overdue by so much.
    fn due(kinds: &[JobKind], overdue_by: Duration) -> Document {
        let milliseconds = i64::try_from(overdue_by.as_millis()).unwrap_or(i64::MAX);
        doc! {
            "claimable_at": { "$exists": true },
            "kind": { "$in": document::names(kinds) },
            "$expr": { "$lte": ["$claimable_at", { "$subtract": ["$$NOW", milliseconds] }] },
        }
    }

    /// Puts the token on those of these jobs that match `filter`, and are as they are here.
    async fn put_on(
        &self,
        token: LeaseToken,
        mut filter: Document,
        jobs: &[Document],
        concern: Document,
    ) -> Result<Vec<Lease>, StorageError> {
        let mut leases = Vec::with_capacity(jobs.len());
        for job in jobs {
            match document::about_to_be_leased(job, token) {
                Ok(lease) => leases.push(lease),
                Err(unfit) => {
                    tracing::error!(%unfit, "a job cannot be read; it is set aside");
                    self.set_aside(&unfit).await?;
                }
            }
        }
        if leases.is_empty() {
            return Ok(leases);
        }
        let keys: Vec<&str> = leases.iter().map(|lease| lease.key.as_str()).collect();
        filter.insert("_id", doc! { "$in": &keys });
        // Others may have been faster with some of them. Where all have one fence, which most have, the count tells
        // that none was; else what we have is read back.
        let fence = leases[0].fence;
        let alike = leases.iter().all(|lease| lease.fence == fence);
        if alike {
            filter.insert("fence", fence.0 - 1);
        }
        reach(CrashPoint::JobsFound);
        let marked = self.mark(filter, token, concern).await;
        reach(CrashPoint::JobsMarked);
        let leases = match marked {
            Ok(marked) if alike && marked == leases.len() => leases,
            Ok(_) => self.marked(&keys, token).await?,
            Err(error) => {
                let leases = self.marked(&keys, token).await?;
                if leases.is_empty() {
                    return Err(error);
                }
                leases
            }
        };
        self.metrics.claims.inc_by(leases.len() as u64);
        Ok(leases)
    }

    /// Puts the token on the jobs that match. Gives how many they were.
    async fn mark(
        &self,
        filter: Document,
        token: LeaseToken,
        concern: Document,
    ) -> Result<usize, StorageError> {
        let update = claim(token, &self.me.to_string(), self.lease);
        let command = doc! {
            "update": JOBS,
            // By the ids: by the other index, all that is due would be read.
            "updates": [{ "q": filter, "u": update, "multi": true, "hint": { "_id": 1 } }],
            "writeConcern": concern,
            "maxTimeMS": i64::try_from(MARK_WITHIN.as_millis()).unwrap_or(i64::MAX),
        };
        let reply = self.database.run_command(command).await?;
        Ok(reply
            .get_i32("nModified")
            .map_or(0, |count| usize::try_from(count).unwrap_or(0)))
    }

    /// Those of the jobs that bear the token.
    async fn marked(&self, keys: &[&str], token: LeaseToken) -> Result<Vec<Lease>, StorageError> {
        let ours = doc! { "_id": { "$in": keys }, "lease.token": token.to_string() };
        let found = self
            .jobs()
            .find(ours)
            .read_concern(ReadConcern::local())
            .await?;
        let mut jobs: Vec<Document> = found.try_collect().await?;
        jobs.sort_by_cached_key(|job| {
            let id = job.get_str("_id").unwrap_or_default();
            keys.iter().position(|key| *key == id)
        });
        Ok(jobs
            .iter()
            .map(|job| document::leased(job, token))
            .collect::<Result<_, _>>()?)
    }

    /// A job that does not parse is dead, not an obstacle to all others.
    async fn set_aside(&self, job: &Corrupt) -> Result<(), StorageError> {
        let error = doc! { "at": "$$NOW", "attempt": 0, "error": { "$literal": &job.why } };
        let update = vec![
            doc! { "$set": { "state": JobState::Dead.name(), "died_at": "$$NOW", "errors": [error] } },
            doc! { "$unset": ["claimable_at", "lease"] },
        ];
        self.jobs()
            .update_one(doc! { "_id": &job.id }, update)
            .await?;
        Ok(())
    }

    /// Puts off the end of the leases on these jobs, each by its token. Gives those that are not ours any more: their
    /// work is void.
    pub async fn renew(&self, held: &[(JobKey, LeaseToken)]) -> Result<Vec<JobKey>, StorageError> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, tokens): (Vec<&str>, Vec<String>) = held
            .iter()
            .map(|(key, token)| (key.as_str(), token.to_string()))
            .unzip();
        // A token is given out once, and with it each job once: no job of `held` matches by another's token.
        let ours = doc! {
            "_id": { "$in": keys },
            "state": JobState::Leased.name(),
            "lease.token": { "$in": tokens },
        };
        let update = vec![doc! { "$set": { "claimable_at": later(self.lease) } }];
        let renewed = self.jobs().update_many(ours.clone(), update).await?;
        if renewed.matched_count == held.len() as u64 {
            return Ok(Vec::new());
        }
        let kept: HashSet<String> = self
            .jobs()
            .find(ours)
            .projection(doc! { "_id": 1 })
            .await?
            .try_filter_map(async |job| Ok(job.get_str("_id").ok().map(str::to_owned)))
            .try_collect()
            .await?;
        Ok(held
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !kept.contains(key.as_str()))
            .cloned()
            .collect())
    }

    fn jobs(&self) -> Collection<Document> {
        self.database.collection(JOBS)
    }
}

/// What to look for.
struct Search {
    whose: Document,
    /// What comes first, as the index has it.
    order: Document,
    overdue_by: Duration,
}

impl Search {
    /// The most urgent first, and then the oldest.
    fn by_queue(whose: Document) -> Self {
        Self {
            whose,
            order: doc! { "queue": 1, "claimable_at": 1 },
            overdue_by: Duration::ZERO,
        }
    }
}

fn all_buckets() -> Document {
    let all: Vec<i32> = (0..BUCKETS).collect();
    doc! { "$in": all }
}
