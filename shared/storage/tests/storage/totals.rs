//! What there is in the cluster: the same from every process, and read by what is counted already.

use certfleet_domain::CertificateOrigin;
use certfleet_jobs::{JobKind, Outcome};
use certfleet_storage::collections::{JOBS, ORDERS};
use certfleet_storage::{Entities, Totals, Unfinished, Unit};
use mongodb::bson::{DateTime, doc};

use crate::entities::{account, authorization, certificate, order};
use crate::jobs::{MINUTE, claim, claimer, enqueue};
use crate::queries::{by_index, profiled};
use crate::support::{Space, space};

const SIGN: JobKind = JobKind::SignCertificate;

/// An account with so many orders, of which so many are processing; an authorization and a certificate.
async fn some_of_each(space: &Space, orders: usize, processing: usize) {
    let store = &space.store;
    let mine = account();
    let certificate = certificate(CertificateOrigin::Service);
    let mut unit = store.accounts.insert(&mine).expect("a unit");
    for number in 0..orders {
        let mut each = order(mine.id);
        if number < processing {
            each = each.finalize(certificate.id).expect("open");
        }
        unit = unit.and(store.orders.insert(&each).expect("a unit"));
    }
    let authorization = authorization(mine.id, "example.org");
    unit = unit
        .and(store.authorizations.insert(&authorization).expect("a unit"))
        .and(store.certificates.insert(&certificate).expect("a unit"));
    store.commit(unit).await.expect("written");
}

#[tokio::test]
async fn every_process_counts_the_same() {
    let space = space().await;
    some_of_each(&space, 5, 2).await;
    some_of_each(&space, 1, 0).await;
    let due = Entities {
        accounts: 2,
        orders: 6,
        authorizations: 2,
        certificates: 2,
    };
    for store in [&space.store, &space.another().await] {
        let totals = store.totals();
        assert_eq!(totals.entities().await.expect("a count"), due);
        assert_eq!(totals.orders_processing().await.expect("a count"), 2);
    }
}

#[tokio::test]
async fn jobs_are_counted_until_they_end_and_when_they_are_dead() {
    let space = space().await;
    let totals = space.store.totals();
    let none = totals.unfinished().await.expect("a count");
    let names: Vec<&str> = none.keys().map(String::as_str).collect();
    assert_eq!(names.len(), JobKind::ALL.len());
    assert!(JobKind::ALL.iter().all(|kind| names.contains(&kind.name())));
    assert!(none.values().all(|kind| *kind == Unfinished::default()));

    enqueue(&space, 10).await;
    let leases = claim(&claimer(&space.store, MINUTE), 5).await;
    for (number, lease) in leases.iter().enumerate() {
        let error = "it cannot be done".to_owned();
        let outcome = match number {
            0 => Outcome::Done,
            1 | 2 => Outcome::Fail { error },
            _ => continue,
        };
        let ended = space.store.jobs.complete(lease, &outcome, Unit::default());
        ended.await.expect("ended");
    }
    // Of a build that this one does not know.
    let mowing =
        doc! { "_id": "mow", "kind": "mowLawn", "state": "dead", "died_at": DateTime::now() };
    space.raw(JOBS).insert_one(mowing).await.expect("written");
    let minute_ago =
        doc! { "$dateSubtract": { "startDate": "$$NOW", "unit": "minute", "amount": 1 } };
    let older = vec![doc! { "$set": { "created_at": minute_ago } }];
    space.alter(JOBS, doc! { "state": "leased" }, older).await;

    let kinds = totals.unfinished().await.expect("a count");
    let signing = kinds[SIGN.name()];
    assert_eq!((signing.waiting.depth, signing.dead), (7, 2));
    let oldest = signing.waiting.oldest;
    assert!((MINUTE..2 * MINUTE).contains(&oldest), "{oldest:?}");
    assert_eq!(kinds["mowLawn"].dead, 1);
    assert_eq!(
        kinds[JobKind::ValidateChallenge.name()],
        Unfinished::default()
    );
}

/// However many orders and finished jobs there are, only those in question are read.
#[tokio::test]
async fn no_total_reads_what_it_does_not_count() {
    let space = space().await;
    some_of_each(&space, 300, 2).await;
    enqueue(&space, 40).await;
    for (number, lease) in claim(&claimer(&space.store, MINUTE), 40)
        .await
        .iter()
        .enumerate()
    {
        let error = "it cannot be done".to_owned();
        let outcome = if number < 3 {
            Outcome::Fail { error }
        } else {
            Outcome::Done
        };
        let ended = space.store.jobs.complete(lease, &outcome, Unit::default());
        ended.await.expect("ended");
    }
    let totals = space.store.totals();
    let seen = profiled(&space, ORDERS, async || {
        assert_eq!(totals.orders_processing().await.expect("a count"), 2);
    })
    .await;
    by_index(&seen, "IXSCAN { created_at: 1 }", 3, 2);
    let seen = profiled(&space, ORDERS, async || {
        assert_eq!(totals.entities().await.expect("a count").orders, 300);
    })
    .await;
    for operation in &seen {
        let plan = operation.get_str("planSummary").expect("a plan");
        assert_eq!(plan, "RECORD_STORE_FAST_COUNT");
    }

    let seen = profiled(&space, JOBS, async || {
        totals.unfinished().await.expect("a count");
    })
    .await;
    let (waiting, dead): (Vec<_>, Vec<_>) = seen.into_iter().partition(|seen| {
        seen.get_str("planSummary")
            .is_ok_and(|plan| plan.contains("bucket"))
    });
    assert_eq!((waiting.len(), dead.len()), (1, 1));
    by_index(
        &waiting,
        "IXSCAN { bucket: 1, queue: 1, claimable_at: 1 }",
        0,
        0,
    );
    by_index(&dead, "IXSCAN { died_at: 1 }", 4, 3);
}

/// A queue that grows and grows is told as at least so long, and costs no more from then on.
#[tokio::test]
async fn a_crowd_is_counted_up_to_a_limit() {
    let space = space().await;
    let most = Totals::MOST;
    let waiting = |number: i64| {
        let (id, bucket) = (format!("sign/{number}"), i32::try_from(number % 64));
        doc! {
            "_id": id, "kind": SIGN.name(), "bucket": bucket.expect("small"), "queue": 1, "state": "queued",
            "claimable_at": DateTime::now(), "created_at": DateTime::now(),
        }
    };
    let crowd = (0..most + 100).map(waiting);
    space.raw(JOBS).insert_many(crowd).await.expect("written");
    let totals = space.store.totals();
    let seen = profiled(&space, JOBS, async || {
        let kinds = totals.unfinished().await.expect("a count");
        assert_eq!(kinds[SIGN.name()].waiting.depth, most);
    })
    .await;
    by_index(&seen, "IXSCAN", most, most);
}
