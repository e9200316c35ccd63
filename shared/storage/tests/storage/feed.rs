//! The change feed: what happened is heard at once.

use std::collections::HashSet;
use std::time::Duration;

use certfleet_domain::{SystemClock, SystemRng};
use certfleet_jobs::Outcome;
use certfleet_storage::Unit;
use certfleet_storage::jobs::JobFeed;
use tokio_util::sync::CancellationToken;

use crate::jobs::{MINUTE, claim_one, claimer, enqueue, job, room};
use crate::support::{eventually, space};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_is_heard_of_by_all_who_listen_for_it() {
    let space = space().await;
    let stop = CancellationToken::new();
    let feed = JobFeed::of_finished(space.store.database(), stop.clone());
    // The opening of the stream rings once.
    feed.changed(LONG).await;

    let (one, other) = (job(), job());
    let listeners = [feed.watch(&one.key()), feed.watch(&one.key())];
    let elsewhere = feed.watch(&other.key());
    let claimer = claimer(&space.store, MINUTE);
    space.store.jobs.ensure(&one).await.expect("enqueued");
    let lease = claim_one(&claimer).await.expect("due");
    assert!(!listeners[0].heard(SHORT).await, "it is not finished");
    let done = space
        .store
        .jobs
        .complete(&lease, &Outcome::Done, Unit::default());
    done.await.expect("completed");
    for listener in &listeners {
        assert!(listener.heard(LONG).await);
    }
    assert!(!listeners[0].heard(SHORT).await, "one word is heard once");
    assert!(!elsewhere.heard(SHORT).await, "no word of the other");
    drop(listeners);

    space.store.jobs.ensure(&other).await.expect("enqueued");
    let lease = claim_one(&claimer).await.expect("due");
    let outcome = Outcome::Fail {
        error: "hopeless".to_owned(),
    };
    let failed = space.store.jobs.complete(&lease, &outcome, Unit::default());
    failed.await.expect("written");
    assert!(elsewhere.heard(LONG).await, "a dead job is finished too");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_work_is_heard_of() {
    let space = space().await;
    let stop = CancellationToken::new();
    let _ends_with_the_test = stop.clone().drop_guard();
    let feed = JobFeed::of_queued(space.store.database(), stop);
    feed.changed(LONG).await;

    let claimer = claimer(&space.store, MINUTE);
    let job = job();
    let (lease, ()) = tokio::join!(
        async {
            // Rung by the insert and by nothing before it: the claim succeeds at the first ring.
            feed.changed(LONG).await;
            claim_one(&claimer).await
        },
        async { space.store.jobs.ensure(&job).await.expect("enqueued") }
    );
    let lease = lease.expect("it is there when the bell rings");

    let released = space
        .store
        .jobs
        .complete(&lease, &Outcome::Release, Unit::default());
    released.await.expect("released");
    let again = eventually("the ring of the release", async || {
        feed.changed(LONG).await;
        claim_one(&claimer).await
    })
    .await;
    assert_eq!(again.job, job);
}

/// What the feed tells of can be claimed without looking for it, once, and by whoever is first.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_heard_of_are_claimed_by_one() {
    let space = space().await;
    let stop = CancellationToken::new();
    let _ends_with_the_test = stop.clone().drop_guard();
    let feeds = [(); 2].map(|()| JobFeed::of_queued(space.store.database(), stop.clone()));
    for feed in &feeds {
        feed.changed(LONG).await;
        assert!(feed.has_to_look(), "nobody knows what was there before");
        assert!(!feed.has_to_look(), "once");
    }
    let jobs = enqueue(&space, 20).await;
    let claimers = [(); 2].map(|()| claimer(&space.store, MINUTE));
    let mut taken = Vec::new();
    for (feed, claimer) in feeds.iter().zip(&claimers) {
        let mut heard = Vec::new();
        while heard.len() < jobs.len() {
            let told = feed.heard(&mut [room(7)]);
            if told.is_empty() {
                feed.changed(LONG).await;
            }
            heard.extend(told);
        }
        assert!(!feed.has_to_look(), "all was heard of");
        // The first hears of all and takes half: the second gets what is left, though it heard of all too.
        let most = if taken.is_empty() { 10 } else { heard.len() };
        let leases = claimer
            .claim_heard(&heard[..most], &SystemClock, &mut SystemRng)
            .await;
        taken.extend(leases.expect("a claim"));
    }
    assert_eq!(taken.len(), jobs.len());
    let keys: HashSet<_> = taken.iter().map(|lease| &lease.key).collect();
    assert_eq!(keys.len(), jobs.len(), "one was claimed twice");
    for lease in &taken {
        assert_eq!((lease.fence.0, lease.attempt), (1, 1));
        let done = space
            .store
            .jobs
            .complete(lease, &Outcome::Done, Unit::default());
        done.await.expect("each lease holds");
    }
}
