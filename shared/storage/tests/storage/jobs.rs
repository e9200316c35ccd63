//! Claims: each job to one hand at a time, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use certfleet_domain::{OrderId, SystemClock, SystemRng};
use certfleet_jobs::{Job, JobKind, Lane, Lease, Outcome, Progress, Room};
use certfleet_storage::collections::JOBS;
use certfleet_storage::jobs::{Claimer, Due, JobState};
use certfleet_storage::{Store, Unit};
use futures_util::future::join_all;
use mongodb::bson::{DateTime, Document, doc};

use crate::entities::now;
use crate::support::{Space, eventually, server_id, space};

pub const MINUTE: Duration = Duration::from_secs(60);

pub fn job() -> Job {
    Job::SignCertificate {
        order: OrderId::generate(&SystemClock, &mut SystemRng),
        authority: None,
    }
}

/// Enqueues so many jobs, in one go.
pub async fn enqueue(space: &Space, count: usize) -> Vec<Job> {
    let jobs: Vec<Job> = (0..count).map(|_| job()).collect();
    let unit = jobs
        .iter()
        .map(|job| space.store.jobs.enqueue(job).expect("a unit"))
        .fold(Unit::default(), Unit::and);
    space.store.commit(unit).await.expect("enqueued");
    jobs
}

/// A new process's claimer, for all kinds and all buckets.
pub fn claimer(store: &Store, lease: Duration) -> Claimer {
    store
        .jobs
        .claimer(server_id(), JobKind::ALL.to_vec(), lease)
}

/// Room for so many jobs of the lane that those here go in.
pub fn room(most: usize) -> Room {
    Room::new(Lane::Inside, most, most, [])
}

pub async fn claim(claimer: &Claimer, most: usize) -> Vec<Lease> {
    claimer
        .claim(&mut room(most), &SystemClock, &mut SystemRng)
        .await
        .expect("a claim")
}

pub async fn claim_one(claimer: &Claimer) -> Option<Lease> {
    claim(claimer, 1).await.pop()
}

/// The job as it lies in the database.
pub async fn stored(space: &Space, job: &Job) -> Document {
    let jobs = space.raw(JOBS);
    let found = jobs.find_one(doc! { "_id": job.key().as_str() }).await;
    found.expect("a read").expect("the job")
}

async fn state(space: &Space, job: &Job) -> Option<JobState> {
    space.store.jobs.state(&job.key()).await.expect("a read")
}

#[tokio::test]
async fn a_job_is_enqueued_claimed_and_done() {
    let space = space().await;
    let job = job();
    assert_eq!(state(&space, &job).await, None);
    space.store.jobs.ensure(&job).await.expect("enqueued");
    assert_eq!(state(&space, &job).await, Some(JobState::Queued));

    let claimer = claimer(&space.store, MINUTE);
    let lease = claim_one(&claimer).await.expect("it is due at once");
    assert_eq!((&lease.job, lease.attempt), (&job, 1));
    assert_eq!(state(&space, &job).await, Some(JobState::Leased));
    assert!(claim_one(&claimer).await.is_none(), "it has a hand");

    let done = space
        .store
        .jobs
        .complete(&lease, &Outcome::Done, Unit::default())
        .await;
    done.expect("completed");
    assert_eq!(state(&space, &job).await, Some(JobState::Done));
    let stored = stored(&space, &job).await;
    assert!(stored.get_datetime("finished_at").is_ok(), "{stored}");
    assert!(!stored.contains_key("claimable_at"), "{stored}");
    assert!(!stored.contains_key("lease"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_claimed_twice_and_none_is_forgotten() {
    let space = space().await;
    enqueue(&space, 500).await;
    // Four processes, each of which takes any bucket's, so that they do meet.
    let mut claimers = Vec::new();
    for _ in 0..4 {
        claimers.push(claimer(&space.another().await, MINUTE));
    }
    let drains = claimers.iter().map(|claimer| async move {
        let mut mine = Vec::new();
        loop {
            let leases = claim(claimer, 20).await;
            if leases.is_empty() {
                return mine;
            }
            mine.extend(leases.into_iter().map(|lease| lease.key));
        }
    });
    let mut claims = BTreeMap::new();
    for key in join_all(drains).await.into_iter().flatten() {
        *claims.entry(key).or_insert(0) += 1;
    }
    assert_eq!(claims.len(), 500);
    assert!(claims.values().all(|times| *times == 1), "{claims:?}");
}

#[tokio::test]
async fn a_retry_waits_keeps_its_error_and_counts() {
    let space = space().await;
    let job = job();
    space.store.jobs.ensure(&job).await.expect("enqueued");
    let claimer = claimer(&space.store, MINUTE);
    let lease = claim_one(&claimer).await.expect("due");
    let outcome = Outcome::Retry {
        after: Duration::from_millis(300),
        error: "$trouble".to_owned(),
    };
    let retried = space.store.jobs.complete(&lease, &outcome, Unit::default());
    retried.await.expect("released");
    assert_eq!(state(&space, &job).await, Some(JobState::Queued));
    assert!(claim_one(&claimer).await.is_none(), "it waits");
    let again = eventually("the retry", async || claim_one(&claimer).await).await;
    assert_eq!(again.attempt, 2);
    assert!(again.fence > lease.fence);
    let stored = stored(&space, &job).await;
    let errors = stored.get_array("errors").expect("errors");
    let error = errors[0].as_document().expect("an error");
    assert_eq!(error.get_str("error").expect("a text"), "$trouble");
    assert_eq!(error.get_i64("attempt").expect("a number"), 1);
}

#[tokio::test]
async fn a_failed_job_is_dead_and_stays() {
    let space = space().await;
    let job = job();
    space.store.jobs.ensure(&job).await.expect("enqueued");
    let claimer = claimer(&space.store, MINUTE);
    let lease = claim_one(&claimer).await.expect("due");
    let outcome = Outcome::Fail {
        error: "hopeless".to_owned(),
    };
    let failed = space.store.jobs.complete(&lease, &outcome, Unit::default());
    failed.await.expect("written");
    assert_eq!(state(&space, &job).await, Some(JobState::Dead));
    space.store.jobs.ensure(&job).await.expect("it is there");
    assert!(claim_one(&claimer).await.is_none());
    let stored = stored(&space, &job).await;
    assert!(
        !stored.contains_key("finished_at"),
        "it never expires: {stored}"
    );
}

#[tokio::test]
async fn a_job_given_back_is_due_at_once_and_its_attempt_does_not_count() {
    let space = space().await;
    let job = job();
    space.store.jobs.ensure(&job).await.expect("enqueued");
    let claimer = claimer(&space.store, MINUTE);
    let lease = claim_one(&claimer).await.expect("due");
    let released = space
        .store
        .jobs
        .complete(&lease, &Outcome::Release, Unit::default());
    released.await.expect("released");
    let again = claim_one(&claimer).await.expect("due at once");
    assert_eq!(again.attempt, 1);
    assert!(again.fence > lease.fence);
}

#[tokio::test]
async fn what_is_urgent_comes_first_and_then_the_oldest() {
    let space = space().await;
    let (ordinary, later) = (job(), job());
    let urgent = Job::IssueServerCertificate {
        authority: "default".parse().expect("a name"),
        names: Vec::new(),
        replacing: 0,
    };
    let jobs = &space.store.jobs;
    for job in [&ordinary, &later, &urgent] {
        jobs.ensure(job).await.expect("enqueued");
    }
    // As a build would that knows of no queues.
    let old = job();
    jobs.ensure(&old).await.expect("enqueued");
    let without = doc! { "$unset": { "queue": "" } };
    space
        .alter(JOBS, doc! { "_id": old.key().as_str() }, without)
        .await;

    let claimer = claimer(&space.store, MINUTE);
    let mut order = Vec::new();
    while let Some(lease) = claim_one(&claimer).await {
        order.push(lease.job);
    }
    assert_eq!(order, [urgent, ordinary, later]);
    let former = claimer
        .claim_unqueued(&mut room(10), &SystemClock, &mut SystemRng)
        .await
        .expect("a claim");
    assert_eq!(former.len(), 1);
    assert_eq!(former[0].job, old);
}

#[tokio::test]
async fn a_job_is_not_claimed_before_it_is_due() {
    let space = space().await;
    let jobs = &space.store.jobs;
    let (later, past) = (job(), job());
    for (job, at) in [
        (&later, now() + time::Duration::hours(1)),
        (&past, now() - time::Duration::hours(1)),
    ] {
        let unit = jobs.enqueue_due(job, Due::At(at)).expect("a unit");
        space.store.commit(unit).await.expect("enqueued");
    }
    let claimer = claimer(&space.store, MINUTE);
    let leases = claim(&claimer, 10).await;
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].job, past);

    let come = doc! { "$set": { "claimable_at": DateTime::now() } };
    space
        .alter(JOBS, doc! { "_id": later.key().as_str() }, come)
        .await;
    let lease = claim_one(&claimer).await.expect("it is due");
    assert_eq!(lease.job, later);
}

#[tokio::test]
async fn a_long_job_says_how_far_it_is_as_long_as_it_is_its_workers() {
    let space = space().await;
    let jobs = &space.store.jobs;
    let job = enqueue(&space, 1).await.remove(0);
    let claimer = claimer(&space.store, MINUTE);
    let lease = claim_one(&claimer).await.expect("a job");
    let mut progress = Progress {
        done: 3,
        total: Some(10),
        of: "$things".to_owned(),
    };
    assert!(jobs.report(&lease, &progress).await.expect("an answer"));
    let record = jobs.find(&job.key()).await.expect("a read").expect("a job");
    assert_eq!(
        record.progress.map(|(said, _)| said),
        Some(progress.clone())
    );

    // Another has it by now: what this one says does not count.
    let run_out = doc! { "$set": { "claimable_at": DateTime::now() } };
    space.alter(JOBS, doc! {}, run_out).await;
    let second = claim_one(&claimer).await.expect("the lease has run out");
    progress.done = 4;
    assert!(!jobs.report(&lease, &progress).await.expect("an answer"));
    assert!(jobs.report(&second, &progress).await.expect("an answer"));
}

#[tokio::test]
async fn jobs_of_kinds_unknown_to_this_build_are_left_alone() {
    let space = space().await;
    let job = job();
    space.store.jobs.ensure(&job).await.expect("enqueued");
    let newer = doc! { "$set": { "kind": "mowLawn", "job": { "kind": "mowLawn" } } };
    assert_eq!(space.alter(JOBS, doc! {}, newer).await, 1);
    assert!(claim_one(&claimer(&space.store, MINUTE)).await.is_none());
    assert_eq!(state(&space, &job).await, Some(JobState::Queued));
}

#[tokio::test]
async fn a_job_that_does_not_parse_is_set_aside_and_holds_up_no_other() {
    let space = space().await;
    let (payload, fence, fit) = (job(), job(), job());
    for job in [&payload, &fence, &fit] {
        space.store.jobs.ensure(job).await.expect("enqueued");
    }
    for (job, broken) in [
        (&payload, doc! { "job": { "kind": "signCertificate" } }),
        (&fence, doc! { "fence": "seven" }),
    ] {
        let filter = doc! { "_id": job.key().as_str() };
        assert_eq!(space.alter(JOBS, filter, doc! { "$set": broken }).await, 1);
    }
    let claimed = claim(&claimer(&space.store, MINUTE), 10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].job, fit);
    for (job, field) in [(&payload, "job"), (&fence, "fence")] {
        assert_eq!(state(&space, job).await, Some(JobState::Dead));
        let stored = stored(&space, job).await.to_string();
        assert!(stored.contains(&format!("{field}:")), "{stored}");
    }
}

#[tokio::test]
async fn the_depth_counts_what_is_to_be_done() {
    let space = space().await;
    enqueue(&space, 3).await;
    let lease = claim_one(&claimer(&space.store, MINUTE))
        .await
        .expect("due");
    let done = space
        .store
        .jobs
        .complete(&lease, &Outcome::Done, Unit::default());
    done.await.expect("completed");
    let depth = space.store.jobs.depth().await.expect("a depth");
    assert_eq!(depth.len(), 1);
    let (kind, count, oldest) = &depth[0];
    assert_eq!((kind.as_str(), *count), ("signCertificate", 2));
    assert!(*oldest < MINUTE, "{oldest:?}");
}
