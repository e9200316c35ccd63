//! Room: what a worker claims when it cannot take everything, and whose jobs then wait.

use std::collections::BTreeMap;
use std::time::Duration;

use certfleet_domain::{
    AccountId, AttemptTerms, AuthorizationId, ChallengeId, OrderId, SystemClock, SystemRng,
};
use certfleet_jobs::{Job, JobKind, Lane, Lease, Room};
use certfleet_storage::Unit;
use certfleet_storage::jobs::JobFeed;
use tokio_util::sync::CancellationToken;

use crate::jobs::{MINUTE, claimer, enqueue};
use crate::support::{Space, space};

fn account() -> AccountId {
    AccountId::generate(&SystemClock, &mut SystemRng)
}

/// Enqueues so many validations for an account, in one go.
pub async fn validations(space: &Space, account: AccountId, count: usize) {
    let job = |_| Job::ValidateChallenge {
        authorization: AuthorizationId::generate(&SystemClock, &mut SystemRng),
        challenge: ChallengeId::generate(&SystemClock, &mut SystemRng),
        account: Some(account),
        terms: AttemptTerms::default(),
    };
    let jobs: Vec<Job> = (0..count).map(job).collect();
    let unit = jobs
        .iter()
        .map(|job| space.store.jobs.enqueue(job).expect("a unit"))
        .fold(Unit::default(), Unit::and);
    space.store.commit(unit).await.expect("enqueued");
}

fn by_party(leases: &[Lease]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for party in leases.iter().filter_map(|lease| lease.job.party()) {
        *counts.entry(party).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn who_has_many_jobs_gets_a_share_of_the_hands_and_others_are_not_behind_them() {
    let space = space().await;
    let (many, few) = (account(), account());
    validations(&space, many, 40).await;
    validations(&space, few, 3).await;
    let claimer = claimer(&space.store, MINUTE);
    let mut room = Room::new(Lane::Outside, 10, 4, []);
    let leases = claimer
        .claim(&mut room, &SystemClock, &mut SystemRng)
        .await
        .expect("a claim");
    let due = BTreeMap::from([(many.to_string(), 4), (few.to_string(), 3)]);
    assert_eq!(by_party(&leases), due);
    assert!(room.is_short());

    // As long as those are in hand, there is no room for more of the one.
    let in_hand: Vec<String> = leases
        .iter()
        .filter_map(|lease| lease.job.party())
        .collect();
    let in_hand = in_hand.iter().map(String::as_str);
    let mut room = Room::new(Lane::Outside, 3, 4, in_hand);
    let more = claimer.claim(&mut room, &SystemClock, &mut SystemRng).await;
    assert!(more.expect("a claim").is_empty());
    let mut alone = Room::new(Lane::Outside, 100, 100, []);
    let rest = claimer
        .claim(&mut alone, &SystemClock, &mut SystemRng)
        .await;
    assert_eq!(rest.expect("a claim").len(), 36);
}

#[tokio::test]
async fn an_authority_gets_no_more_than_it_can_do_at_once() {
    let space = space().await;
    let sign = |authority: &str| Job::SignCertificate {
        order: OrderId::generate(&SystemClock, &mut SystemRng),
        authority: Some(authority.parse().expect("a name")),
    };
    for authority in ["slow", "slow", "slow", "slow", "quick"] {
        space
            .store
            .jobs
            .ensure(&sign(authority))
            .await
            .expect("enqueued");
    }
    let claimer = claimer(&space.store, MINUTE);
    let mut room = Room::new(Lane::Inside, 10, 2, ["authority/slow"]);
    let leases = claimer
        .claim(&mut room, &SystemClock, &mut SystemRng)
        .await
        .expect("a claim");
    let due = BTreeMap::from([
        ("authority/slow".to_owned(), 1),
        ("authority/quick".to_owned(), 1),
    ]);
    assert_eq!(by_party(&leases), due);
}

#[tokio::test]
async fn one_lane_does_not_take_the_others_jobs() {
    let space = space().await;
    validations(&space, account(), 5).await;
    enqueue(&space, 5).await;
    let claimer = claimer(&space.store, MINUTE);
    for (lane, kind) in [
        (Lane::Inside, JobKind::SignCertificate),
        (Lane::Outside, JobKind::ValidateChallenge),
    ] {
        let mut room = Room::new(lane, 100, 100, []);
        let leases = claimer.claim(&mut room, &SystemClock, &mut SystemRng).await;
        let leases = leases.expect("a claim");
        assert_eq!(leases.len(), 5);
        assert!(leases.iter().all(|lease| lease.job.kind() == kind));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_told_of_later() {
    let space = space().await;
    let stop = CancellationToken::new();
    let _ends_with_the_test = stop.clone().drop_guard();
    let feed = JobFeed::of_queued(space.store.database(), stop.clone());
    let long = Duration::from_secs(20);
    feed.changed(long).await;
    validations(&space, account(), 5).await;
    enqueue(&space, 2).await;
    let mut told = Vec::new();
    let rooms = || {
        [
            Room::new(Lane::Inside, 9, 9, []),
            Room::new(Lane::Outside, 9, 2, []),
        ]
    };
    // Two of the one party and two of nobody's, whatever comes first.
    while told.len() < 4 {
        let mut rooms = rooms();
        let more = feed.heard(&mut rooms);
        if more.is_empty() {
            feed.changed(long).await;
        }
        told.extend(more);
        assert!(told.len() <= 6);
    }
    let mut wide = [
        Room::new(Lane::Outside, 9, 9, []),
        Room::new(Lane::Inside, 9, 9, []),
    ];
    while told.len() < 7 {
        let more = feed.heard(&mut wide);
        if more.is_empty() {
            feed.changed(long).await;
        }
        told.extend(more);
    }
    let claimer = claimer(&space.store, MINUTE);
    let leases = claimer
        .claim_heard(&told, &SystemClock, &mut SystemRng)
        .await;
    assert_eq!(leases.expect("a claim").len(), 7, "each is told once");
}
