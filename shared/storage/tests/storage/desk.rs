//! What people do to jobs: list them, give dead ones another chance, put them away, pause their kinds.

use std::collections::BTreeSet;

use certfleet_domain::{SystemClock, SystemRng};
use certfleet_jobs::{Job, JobKind, Outcome};
use certfleet_storage::jobs::{JobRecord, JobState, Wanted};
use certfleet_storage::{Switches, Unit};

use crate::jobs::{MINUTE, claim, claim_one, claimer, enqueue, room};
use crate::support::{Space, event, space};

async fn list(space: &Space, state: JobState, kind: Option<JobKind>) -> Vec<JobRecord> {
    let most = 100;
    let wanted = Wanted { state, kind, most };
    let (jobs, unfit) = space.store.jobs.list(wanted).await.expect("a list");
    assert!(unfit.is_empty(), "{unfit:?}");
    jobs
}

fn keys<'a>(jobs: impl IntoIterator<Item = &'a JobRecord>) -> BTreeSet<String> {
    jobs.into_iter().map(|job| job.key.clone()).collect()
}

/// One job in each state that a job gets into by itself: queued, leased, done, dead.
async fn one_of_each(space: &Space) -> [Job; 4] {
    let jobs: [Job; 4] = enqueue(space, 4).await.try_into().expect("four");
    let claimer = claimer(&space.store, MINUTE);
    let queued = jobs[0].key();
    for lease in claim(&claimer, 4).await {
        let outcome = if lease.key == queued {
            Outcome::Release
        } else if lease.key == jobs[2].key() {
            Outcome::Done
        } else if lease.key == jobs[3].key() {
            let error = "it cannot be done".to_owned();
            Outcome::Fail { error }
        } else {
            continue;
        };
        let ended = space.store.jobs.complete(&lease, &outcome, Unit::default());
        ended.await.expect("ended");
    }
    jobs
}

#[tokio::test]
async fn jobs_are_listed_by_state_and_kind() {
    let space = space().await;
    let jobs = one_of_each(&space).await;
    let states = [
        JobState::Queued,
        JobState::Leased,
        JobState::Done,
        JobState::Dead,
    ];
    for (state, job) in states.into_iter().zip(&jobs) {
        let found = list(&space, state, None).await;
        let key = job.key().to_string();
        assert_eq!(keys(&found), BTreeSet::from([key]), "{state:?}");
        assert_eq!(found[0].state, state);
        let of_kind = list(&space, state, Some(JobKind::SignCertificate)).await;
        assert_eq!(of_kind, found);
        let of_another = list(&space, state, Some(JobKind::ValidateChallenge)).await;
        assert_eq!(of_another, []);
    }
    assert_eq!(list(&space, JobState::Discarded, None).await, []);
}

#[tokio::test]
async fn a_dead_job_is_tried_again_from_the_start_or_put_away_and_no_other_is() {
    let space = space().await;
    let [queued, leased, done, dead] = one_of_each(&space).await;
    let desk = &space.store.jobs;
    for job in [&queued, &leased, &done] {
        assert!(!desk.retry(&job.key(), &event()).await.expect("a look"));
        assert!(!desk.discard(&job.key(), &event()).await.expect("a look"));
    }

    assert!(desk.retry(&dead.key(), &event()).await.expect("retried"));
    assert!(
        !desk.retry(&dead.key(), &event()).await.expect("a look"),
        "twice"
    );
    let claimer = claimer(&space.store, MINUTE);
    let again = claim(&claimer, 4).await;
    let lease = again
        .into_iter()
        .find(|lease| lease.key == dead.key())
        .expect("it is due");
    assert_eq!((lease.attempt, lease.fence.0), (1, 2));
    let record = desk.find(&dead.key()).await.expect("a read").expect("it");
    assert_eq!(record.errors.len(), 1, "its errors stay with it");

    let error = "again".to_owned();
    let outcome = Outcome::Fail { error };
    let failed = desk.complete(&lease, &outcome, Unit::default());
    failed.await.expect("ended");
    assert!(
        desk.discard(&dead.key(), &event())
            .await
            .expect("discarded")
    );
    assert_eq!(list(&space, JobState::Dead, None).await, []);
    let discarded = list(&space, JobState::Discarded, None).await;
    assert_eq!(keys(&discarded), BTreeSet::from([dead.key().to_string()]));
    assert!(discarded[0].ended_at.is_some());
    assert!(!desk.retry(&dead.key(), &event()).await.expect("a look"));
}

#[tokio::test]
async fn a_paused_kind_is_not_claimed_until_it_is_resumed() {
    let space = space().await;
    enqueue(&space, 1).await;
    let board = &space.store.switches;
    board
        .pause(JobKind::SignCertificate, &event())
        .await
        .expect("paused");
    board
        .pause(JobKind::SignCertificate, &event())
        .await
        .expect("twice");
    let mut claimer = claimer(&space.store, MINUTE);
    claimer.leave_out(&board.read().await.expect("a read").paused);
    assert!(claim_one(&claimer).await.is_none());
    let stolen = claimer
        .steal(&mut room(1), &SystemClock, &mut SystemRng)
        .await;
    assert!(stolen.expect("a look").is_empty());

    assert!(
        board
            .resume(JobKind::SignCertificate, &event())
            .await
            .expect("resumed")
    );
    assert!(
        !board
            .resume(JobKind::SignCertificate, &event())
            .await
            .expect("twice")
    );
    claimer.leave_out(&board.read().await.expect("a read").paused);
    assert!(claim_one(&claimer).await.is_some());
}

#[tokio::test]
async fn a_maintenance_is_there_until_it_is_ended() {
    let space = space().await;
    let board = &space.store.switches;
    assert_eq!(board.read().await.expect("a read").maintenance, None);
    board
        .begin_maintenance("$reason", &event())
        .await
        .expect("begun");
    let begun = board.read().await.expect("a read").maintenance;
    let begun = begun.expect("a maintenance");
    assert_eq!(begun.reason, "$reason");
    board
        .begin_maintenance("until noon", &event())
        .await
        .expect("changed");
    let changed = board.read().await.expect("a read").maintenance;
    let changed = changed.expect("a maintenance");
    assert_eq!(
        (changed.since, &*changed.reason),
        (begun.since, "until noon")
    );
    assert!(board.end_maintenance(&event()).await.expect("ended"));
    assert!(!board.end_maintenance(&event()).await.expect("twice"));
    let after = board.read().await.expect("a read");
    assert_eq!(after, Switches::default());
}
