//! Leases: what ends them, who takes over, and that nothing is written under one that was lost.

use std::time::Duration;

use certfleet_domain::{SystemClock, SystemRng};
use certfleet_jobs::{Job, JobKind, Outcome};
use certfleet_storage::collections::JOBS;
use certfleet_storage::{CommitError, Unit};
use mongodb::bson::{Document, doc};

use crate::entities::account;
use crate::jobs::{MINUTE, claim, claim_one, claimer, enqueue, job, room, stored};
use crate::support::{Space, eventually, server_id, space};

const SHORT: Duration = Duration::from_millis(300);

async fn with_job() -> (Space, Job) {
    let space = space().await;
    let job = job();
    space.store.jobs.ensure(&job).await.expect("enqueued");
    (space, job)
}

#[tokio::test]
async fn a_lease_knows_the_trace_that_called_for_the_job_and_does_without() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    // Without one, as of a former build; and with what is none, which no work may be lost for.
    for (stored, due) in [
        (None, None),
        (Some(parent), parent.parse().ok()),
        (Some("?"), None),
    ] {
        let (space, job) = with_job().await;
        if let Some(trace) = stored {
            let key = doc! { "_id": job.key().as_str() };
            space
                .alter(JOBS, key, doc! { "$set": { "trace": trace } })
                .await;
        }
        let lease = claim_one(&claimer(&space.store, MINUTE))
            .await
            .expect("due");
        assert_eq!((lease.job, lease.trace), (job, due));
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_is_claimed_by_another_and_its_holder_writes_nothing_more() {
    let (space, job) = with_job().await;
    let other = space.another().await;
    let lost = claim_one(&claimer(&space.store, SHORT)).await.expect("due");
    let successor = claimer(&other, MINUTE);
    assert!(claim_one(&successor).await.is_none(), "the lease holds");
    let taken = eventually("the lease to run out", async || claim_one(&successor).await).await;
    assert_eq!(taken.job, job);
    assert_eq!(taken.attempt, 2);
    assert!(taken.fence > lost.fence);

    let account = account();
    let late = space
        .store
        .jobs
        .complete(
            &lost,
            &Outcome::Done,
            space.store.accounts.insert(&account).expect("a unit"),
        )
        .await;
    match late {
        Err(CommitError::Changed { collection, .. }) => assert_eq!(collection, JOBS),
        other => panic!("{other:?}"),
    }
    let written = space.store.accounts.find(account.id).await;
    assert_eq!(written.expect("a read"), None, "the late result");
    let stale = space.counter("certfleet_jobs_stale_writes_total", None);
    assert!((stale - 1.0).abs() < f64::EPSILON, "{stale}");

    let done = other.jobs.complete(&taken, &Outcome::Done, Unit::default());
    done.await.expect("the successor's stands");
}

#[tokio::test]
async fn a_result_is_refused_after_it_was_written() {
    let (space, _) = with_job().await;
    let lease = claim_one(&claimer(&space.store, MINUTE))
        .await
        .expect("due");
    let jobs = &space.store.jobs;
    let once = jobs.complete(&lease, &Outcome::Done, Unit::default()).await;
    once.expect("completed");
    let twice = jobs.complete(&lease, &Outcome::Done, Unit::default()).await;
    assert!(
        matches!(twice, Err(CommitError::Changed { .. })),
        "{twice:?}"
    );
}

#[tokio::test]
async fn a_result_whose_documents_have_changed_leaves_the_lease() {
    let (space, _) = with_job().await;
    let lease = claim_one(&claimer(&space.store, MINUTE))
        .await
        .expect("due");
    let account = account();
    let insert = space.store.accounts.insert(&account).expect("a unit");
    space.store.commit(insert.clone()).await.expect("inserted");
    let refused = space.store.jobs.complete(&lease, &Outcome::Done, insert);
    match refused.await {
        Err(CommitError::Duplicate { collection, .. }) => assert_eq!(collection, "accounts"),
        other => panic!("{other:?}"),
    }
    let anew = space
        .store
        .jobs
        .complete(&lease, &Outcome::Done, Unit::default());
    anew.await.expect("decided anew");
}

#[tokio::test]
async fn a_renewed_lease_ends_later_and_a_lost_one_is_named() {
    let (space, first) = with_job().await;
    let second = job();
    space.store.jobs.ensure(&second).await.expect("enqueued");
    let holder = claimer(&space.store, SHORT);
    let leases = claim(&holder, 2).await;
    let held: Vec<_> = leases
        .iter()
        .map(|lease| (lease.key.clone(), lease.token))
        .collect();

    let before = stored(&space, &first).await;
    let lost = eventually("a later end", async || {
        let lost = holder.renew(&held).await.expect("renewed");
        let now = stored(&space, &first).await;
        let end = |job: &Document| job.get_datetime("claimable_at").ok().copied();
        (end(&now) > end(&before)).then_some(lost)
    })
    .await;
    assert_eq!(lost, []);

    let successor = claimer(&space.store, MINUTE);
    eventually("both leases to run out", async || {
        claim_one(&successor).await?;
        eventually("the other", async || claim_one(&successor).await).await;
        Some(())
    })
    .await;
    let mut lost = holder.renew(&held).await.expect("an answer");
    lost.sort();
    let mut due = vec![first.key(), second.key()];
    due.sort();
    assert_eq!(lost, due);
    let stolen = stored(&space, &first).await;
    assert!(
        stolen
            .get_datetime("claimable_at")
            .expect("an end")
            .to_time_0_3()
            > crate::entities::now() + time::Duration::seconds(30),
        "the successor's lease is as it was"
    );
}

#[tokio::test]
async fn what_its_owner_neglects_is_stolen() {
    let space = space().await;
    let (me, neighbour) = (server_id(), server_id());
    let mut mine = space.store.jobs.claimer(me, JobKind::ALL.to_vec(), MINUTE);
    mine.share_with(&[me, neighbour]);
    enqueue(&space, 40).await;
    let own = claim(&mine, 100).await.len();
    assert!((1..40).contains(&own), "{own} of 40 are in its own buckets");
    let (clock, mut rng) = (SystemClock, SystemRng);
    let lying = doc! { "state": "queued" };
    let due =
        |since: i32| vec![doc! { "$set": { "claimable_at": { "$subtract": ["$$NOW", since] } } }];
    space.alter(JOBS, lying.clone(), due(0)).await;
    let fresh = mine
        .steal(&mut room(100), &clock, &mut rng)
        .await
        .expect("an answer");
    assert_eq!(fresh.len(), 0, "the neighbour has its time");

    space.alter(JOBS, lying, due(2_100)).await;
    let stolen = mine
        .steal(&mut room(100), &clock, &mut rng)
        .await
        .expect("an answer");
    assert_eq!(stolen.len(), 40 - own);
}
