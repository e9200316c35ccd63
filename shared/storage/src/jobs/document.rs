//! How a job lies in the database, and the updates that move it from state to state.

use bson::{Bson, Document, doc};
use certfleet_domain::{LeaseToken, Timestamp};
use certfleet_jobs::{Fence, Job, JobKey, JobKind, Lane, Lease, Outcome, Priority, Progress};
use std::time::Duration;

use super::BUCKETS;
use crate::collections::JOBS;
use crate::documents::to_bson_time;
use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};

/// The most errors that are kept with a job: the latest.
const ERRORS_KEPT: i32 = 10;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its time or for a hand.
    Queued,
    /// A worker has it.
    Leased,
    /// Done.
    Done,
    /// Given up; waits for a person.
    Dead,
    /// Given up, and put away by a person.
    Discarded,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Leased,
        Self::Done,
        Self::Dead,
        Self::Discarded,
    ];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        }
    }
}

/// When a job is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// At this moment of the server's clock.
    At(Timestamp),
}

/// Which jobs of a bucket come first: the least number. A lane's lie side by side.
fn queue_of(lane: Lane, priority: Priority) -> i32 {
    let lane = match lane {
        Lane::Inside => 0,
        Lane::Outside => 10,
    };
    let priority = match priority {
        Priority::Urgent => 0,
        Priority::Ordinary => 1,
    };
    lane + priority
}

/// The queues of a lane. A range and no list: so the index gives a bucket's jobs in the order of the queues.
pub(super) fn queues(lane: Lane) -> Document {
    let queue = |priority| queue_of(lane, priority);
    doc! { "$gte": queue(Priority::Urgent), "$lte": queue(Priority::Ordinary) }
}

/// The unit that makes a job be there; one of the same key that is there already stays as it is. The job remembers the
/// trace that this is called in.
pub(super) fn ensure(job: &Job, due: Due) -> Result<Unit, StorageError> {
    let key = job.key();
    let due = match due {
        Due::Now => Bson::from("$$NOW"),
        Due::At(at) => to_bson_time(at).into(),
    };
    let mut fresh = doc! {
        "_id": key.as_str(),
        "kind": job.kind().name(),
        "bucket": bucket_of(key.as_str()),
        "job": { "$literal": bson::serialize_to_document(job)? },
        "state": JobState::Queued.name(),
        "queue": queue_of(job.kind().lane(), job.kind().priority()),
        "claimable_at": due,
        "created_at": "$$NOW",
        "fence": 0_i64,
        "attempt": 0,
    };
    if let Some(party) = job.party() {
        fresh.insert("party", party);
    }
    if let Some(trace) = certfleet_trace::parent() {
        fresh.insert("trace", trace.to_string());
    }
    let pipeline = vec![
        doc! { "$replaceWith": { "$cond": [{ "$eq": [{ "$type": "$state" }, "missing"] }, fresh, "$$ROOT"] } },
    ];
    Ok(Unit::of(Write::Ensure {
        row: Row::new(JOBS, key.as_str()),
        pipeline,
    }))
}

/// The pipeline that a claim applies to each job it takes.
pub(super) fn claim(token: LeaseToken, owner: &str, lease: Duration) -> Vec<Document> {
    vec![doc! { "$set": {
        "state": JobState::Leased.name(),
        "claimable_at": later(lease),
        "fence": { "$add": ["$fence", 1_i64] },
        "attempt": { "$add": ["$attempt", 1] },
        "lease": { "token": token.to_string(), "owner": owner },
    } }]
}

/// The unit that writes how an attempt ended. It holds only while the lease is the job's: its fence, and its token,
/// since a claim that a failover undid leaves its fence to the next.
pub(super) fn release(lease: &Lease, outcome: &Outcome) -> Unit {
    let update = match outcome {
        Outcome::Done => Bson::Document(doc! {
            "$set": { "state": JobState::Done.name() },
            "$unset": { "claimable_at": "", "lease": "" },
            "$currentDate": { "finished_at": true },
        }),
        Outcome::Retry { after, error } => pipeline(vec![
            doc! { "$set": {
                "state": JobState::Queued.name(),
                "claimable_at": later(*after),
                "errors": with_error(lease, error),
            } },
            doc! { "$unset": "lease" },
        ]),
        Outcome::Fail { error } => pipeline(vec![
            doc! { "$set": {
                "state": JobState::Dead.name(),
                "died_at": "$$NOW",
                "errors": with_error(lease, error),
            } },
            doc! { "$unset": ["lease", "claimable_at"] },
        ]),
        Outcome::Release => pipeline(vec![
            doc! { "$set": {
                "state": JobState::Queued.name(),
                "claimable_at": "$$NOW",
                "attempt": { "$subtract": ["$attempt", 1] },
            } },
            doc! { "$unset": "lease" },
        ]),
    };
    Unit::of(Write::Update {
        row: Row::new(JOBS, lease.key.as_str()),
        guard: held(lease),
        update,
    })
}

/// The unit that holds only while the lease is the job's, and leaves the job in hand.
pub(super) fn hold(lease: &Lease) -> Unit {
    Unit::of(Write::Update {
        row: Row::new(JOBS, lease.key.as_str()),
        guard: held(lease),
        // Something has to be written, so that whoever takes the job over meanwhile is in conflict with it.
        update: doc! { "$inc": { "steps": 1 } }.into(),
    })
}

/// What a job is as long as the lease is its last.
pub(super) fn held(lease: &Lease) -> Document {
    doc! {
        "fence": lease.fence.0,
        "state": JobState::Leased.name(),
        "lease.token": lease.token.to_string(),
    }
}

/// The update that says how far a job is.
pub(super) fn report(progress: &Progress) -> Vec<Document> {
    let mut entry =
        doc! { "done": whole(progress.done), "of": { "$literal": &progress.of }, "at": "$$NOW" };
    if let Some(total) = progress.total {
        entry.insert("total", whole(total));
    }
    vec![doc! { "$set": { "progress": entry } }]
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Now, by the server's clock, plus `duration`.
pub(super) fn later(duration: Duration) -> Document {
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    doc! { "$add": ["$$NOW", milliseconds] }
}

fn with_error(lease: &Lease, error: &str) -> Document {
    let attempt = i64::from(lease.attempt);
    let entry = doc! { "at": "$$NOW", "attempt": attempt, "error": { "$literal": error } };
    doc! { "$slice": [{ "$concatArrays": [{ "$ifNull": ["$errors", []] }, [entry]] }, -ERRORS_KEPT] }
}

fn pipeline(stages: Vec<Document>) -> Bson {
    Bson::Array(stages.into_iter().map(Bson::Document).collect())
}

/// The lease of a job that was claimed after it was read.
pub(super) fn about_to_be_leased(job: &Document, token: LeaseToken) -> Result<Lease, Corrupt> {
    let lease = leased(job, token)?;
    Ok(Lease {
        fence: Fence(lease.fence.0 + 1),
        attempt: lease.attempt + 1,
        ..lease
    })
}

/// The lease of a job as it is now.
pub(super) fn leased(job: &Document, token: LeaseToken) -> Result<Lease, Corrupt> {
    let id = job.get_str("_id").unwrap_or("without _id").to_owned();
    let corrupt = |why: String| Corrupt {
        collection: JOBS,
        id: id.clone(),
        why,
    };
    let payload = job
        .get_document("job")
        .map_err(|error| corrupt(format!("job: {error}")))?;
    let fence = job
        .get_i64("fence")
        .map_err(|error| corrupt(format!("fence: {error}")))?;
    let attempt = job
        .get_i32("attempt")
        .map_err(|error| corrupt(format!("attempt: {error}")))?;
    Ok(Lease {
        job: bson::deserialize_from_document(payload.clone())
            .map_err(|error| corrupt(format!("job: {error}")))?,
        key: JobKey::from_stored(id.clone()),
        fence: Fence(fence),
        token,
        attempt: u32::try_from(attempt).map_err(|_| corrupt("attempt: not a count".to_owned()))?,
        // Nothing is decided by it: the work is done whatever stands there.
        trace: job
            .get_str("trace")
            .ok()
            .and_then(|trace| trace.parse().ok()),
    })
}

/// Whom a job is for, if for somebody whose share is limited.
pub(super) fn party(job: &Document) -> Option<&str> {
    job.get_str("party").ok()
}

/// Where a job lies: a hash of its key, the same in every build.
pub(super) fn bucket_of(key: &str) -> i32 {
    // FNV-1a, 32 bits.
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    i32::try_from(hash % BUCKETS.unsigned_abs()).unwrap_or_default()
}

/// The kinds' names, as a filter wants them.
pub(super) fn names(kinds: &[JobKind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.name()).collect()
}
