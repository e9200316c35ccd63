//! What is sent again after a fault counts once: the connection breaks before the server has done what was asked, or an
//! error comes after it has done it.

use std::time::Duration;

use certfleet_domain::{AccountId, LimitKey, Rate, SystemClock, SystemRng, Verdict};
use certfleet_jobs::Outcome;
use certfleet_storage::collections::JOBS;
use certfleet_storage::{CommitError, Unit};
use mongodb::bson::{Document, doc};

use crate::jobs::{MINUTE, claim, claim_one, claimer, job, room, stored};
use crate::support::{Space, space};

/// The connection breaks; nothing is done.
fn broken() -> Document {
    doc! { "closeConnection": true }
}

/// It is done, and answered with an error: the primary goes (91), upon which the driver asks again; or the majority is
/// not known to have it (64), upon which it does not.
fn done_but(code: i32) -> Document {
    doc! { "writeConcernError": { "code": code, "errmsg": "as the test wants it" } }
}

const SHUTDOWN: i32 = 91;
const NO_MAJORITY: i32 = 64;

fn key() -> LimitKey {
    LimitKey::account(AccountId::generate(&SystemClock, &mut SystemRng))
}

/// So many an hour.
fn hourly(count: u32) -> Rate {
    Rate::new(count, Duration::from_secs(3_600)).expect("a rate")
}

/// How many more charges are admitted now.
async fn admitted(space: &Space, key: &LimitKey, rate: Rate) -> usize {
    let mut count = 0;
    while let Verdict::Admitted(_) = space
        .store
        .limits
        .charge(key, rate)
        .await
        .expect("a verdict")
    {
        count += 1;
        assert!(count < 100, "without end");
    }
    count
}

#[tokio::test]
async fn a_charge_that_is_sent_again_counts_once() {
    let space = space().await;
    let rate = hourly(5);
    for (fault, times, known, left) in [
        (broken(), 1, true, 4),
        (done_but(SHUTDOWN), 1, true, 4),
        // The driver asks twice and no more.
        (broken(), 2, false, 5),
        (done_but(SHUTDOWN), 2, false, 4),
        (done_but(NO_MAJORITY), 1, false, 4),
    ] {
        // Of a key without a document, and of one that has one.
        for charged in [0, 1] {
            let key = key();
            for _ in 0..charged {
                space
                    .store
                    .limits
                    .charge(&key, rate)
                    .await
                    .expect("charged");
            }
            let charge = space.store.limits.charge(&key, rate);
            let verdict = space
                .under(&["findAndModify"], fault.clone(), times, charge)
                .await;
            let case = format!("{fault}, {times} times, {charged} before");
            assert_eq!(verdict.is_ok(), known, "{case}: {verdict:?}");
            assert!(!matches!(verdict, Ok(Verdict::Refused(_))), "{case}");
            assert_eq!(admitted(&space, &key, rate).await, left - charged, "{case}");
        }
    }
}

/// Faults of a transaction, after each of which it is committed once.
pub fn of_a_transaction() -> [(&'static str, Document, i64); 6] {
    [
        ("update", broken(), 1),
        ("commitTransaction", broken(), 1),
        ("commitTransaction", broken(), 5),
        ("commitTransaction", done_but(SHUTDOWN), 1),
        ("commitTransaction", done_but(SHUTDOWN), 5),
        ("commitTransaction", done_but(NO_MAJORITY), 3),
    ]
}

#[tokio::test]
async fn a_group_commit_that_is_sent_again_counts_once() {
    let space = space().await;
    let rate = hourly(5);
    for (command, fault, times) in of_a_transaction() {
        let key = key();
        let mut charges = Vec::new();
        while let Verdict::Admitted(charge) = space
            .store
            .limits
            .charge(&key, rate)
            .await
            .expect("a verdict")
        {
            charges.push(charge);
        }
        // Given back twice, it would let two more through.
        let unit = space.store.limits.give_back_with(&key, charges[4]);
        let committed = space
            .under(&[command], fault.clone(), times, space.store.commit(unit))
            .await;
        let case = format!("{command}: {fault}, {times} times");
        committed.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(admitted(&space, &key, rate).await, 1, "{case}");
    }
}

#[tokio::test]
async fn a_job_whose_claim_fails_is_claimed_once() {
    let space = space().await;
    let (mine, others) = (
        claimer(&space.store, MINUTE),
        claimer(&space.another().await, MINUTE),
    );
    for (fault, taken) in [
        (broken(), false),
        (done_but(SHUTDOWN), true),
        (done_but(NO_MAJORITY), true),
    ] {
        let job = job();
        space.store.jobs.ensure(&job).await.expect("enqueued");
        let claimed = async { mine.claim(&mut room(2), &SystemClock, &mut SystemRng).await };
        let claimed = space.under(&["update"], fault.clone(), 1, claimed).await;
        let leases = claimed.unwrap_or_default();
        assert_eq!(leases.len(), usize::from(taken), "{fault}");
        // Whoever comes next finds it where the claim was not carried out, and only there.
        let next = claim(&others, 2).await;
        assert_eq!(next.len(), usize::from(!taken), "{fault}");
        let lease = leases.into_iter().chain(next).next().expect("one");
        assert_eq!((&lease.job, lease.attempt), (&job, 1), "{fault}");
        assert_eq!(
            stored(&space, &job).await.get_i32("attempt").ok(),
            Some(1),
            "{fault}"
        );
        let ended = space
            .store
            .jobs
            .complete(&lease, &Outcome::Done, Unit::default());
        ended.await.expect("ended");
    }
}

#[tokio::test]
async fn a_job_whose_completion_is_sent_again_is_completed_once() {
    let space = space().await;
    let mine = claimer(&space.store, MINUTE);
    let rate = hourly(5);
    for (command, fault, times) in of_a_transaction() {
        let case = format!("{command}: {fault}, {times} times");
        let job = job();
        space.store.jobs.ensure(&job).await.expect("enqueued");
        let lease = claim_one(&mine).await.expect("due");
        let key = key();
        let Ok(Verdict::Admitted(charge)) = space.store.limits.charge(&key, rate).await else {
            panic!("{case}: not charged")
        };
        let result = space.store.limits.give_back_with(&key, charge);
        let complete = |result| space.store.jobs.complete(&lease, &Outcome::Done, result);
        let completed = space
            .under(&[command], fault, times, complete(result.clone()))
            .await;
        completed.unwrap_or_else(|error| panic!("{case}: {error}"));
        let done = stored(&space, &job).await;
        assert_eq!(done.get_str("state").ok(), Some("done"), "{case}");
        assert_eq!(done.get_i32("attempt").ok(), Some(1), "{case}");
        // Its holder, who does not know, writes it again: nothing is.
        match complete(result).await {
            Err(CommitError::Changed { collection, .. }) => assert_eq!(collection, JOBS),
            other => panic!("{case}: {other:?}"),
        }
        assert_eq!(admitted(&space, &key, rate).await, 5, "{case}");
    }
}
