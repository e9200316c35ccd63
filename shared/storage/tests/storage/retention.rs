//! What has served its time goes, and nothing else.

use std::time::Duration as WaitTime;

use certfleet_domain::{
    CertificateId, Clock, ManualClock, Order, OrderId, SystemClock, SystemRng, Timestamp,
};
use certfleet_storage::{Keep, Removed};
use time::Duration;

use crate::entities::{account, authorization, now, order};
use crate::support::space;

fn order_of(made: Timestamp, expires_at: Timestamp) -> Order {
    let clock = ManualClock::at(made);
    Order {
        id: OrderId::generate(&clock, &mut SystemRng),
        replaces: None,
        created_at: clock.now(),
        expires_at,
        ..order(account().id)
    }
}

#[tokio::test]
async fn what_expired_before_the_limit_is_removed() {
    let space = space().await;
    let store = &space.store;
    let limit = now() - Duration::days(90);
    let expired = order_of(limit - Duration::days(8), limit - Duration::days(1));
    let expired_later = order_of(limit - Duration::days(8), limit + Duration::days(1));
    let young = order_of(limit + Duration::days(1), limit + Duration::days(8));
    let certificate = CertificateId::generate(&SystemClock, &mut SystemRng);
    let processing = order_of(limit - Duration::days(8), limit - Duration::days(1))
        .finalize(certificate)
        .expect("open");
    let mut proof = authorization(account().id, "example.org");
    proof.id = certfleet_domain::AuthorizationId::generate(
        &ManualClock::at(limit - Duration::days(8)),
        &mut SystemRng,
    );
    proof.expires_at = limit - Duration::days(1);

    let mut unit = store.authorizations.insert(&proof).expect("a unit");
    for order in [&expired, &expired_later, &young, &processing] {
        unit = unit.and(store.orders.insert(order).expect("a unit"));
    }
    store.commit(unit).await.expect("written");

    let keep = Keep {
        nonces_since: now(),
        jobs: WaitTime::from_secs(7 * 86_400),
        orders_since: limit,
        authorizations_since: limit,
    };
    let removed = store.retention().step(keep).await.expect("a step");
    let due = Removed {
        nonces: 0,
        orders: 1,
        authorizations: 1,
    };
    assert_eq!(removed, due);
    assert!(!removed.more());
    assert_eq!(store.orders.find(expired.id).await.expect("a read"), None);
    for kept in [&expired_later, &young, &processing] {
        let found = store.orders.find(kept.id).await.expect("a read");
        assert_eq!(found.as_ref(), Some(kept));
    }
}

#[tokio::test]
async fn authorizations_and_orders_have_times_of_their_own() {
    let space = space().await;
    let store = &space.store;
    let limit = now() - Duration::days(90);
    let expired = order_of(limit - Duration::days(8), limit - Duration::days(1));
    let insert = store.orders.insert(&expired).expect("a unit");
    store.commit(insert).await.expect("written");
    let keep = Keep {
        nonces_since: now(),
        jobs: WaitTime::from_secs(7 * 86_400),
        orders_since: limit - Duration::days(30),
        authorizations_since: limit,
    };
    let removed = store.retention().step(keep).await;
    assert_eq!(removed.expect("a step"), Removed::default());
}

#[tokio::test]
async fn finished_jobs_are_kept_for_the_time_that_is_set() {
    let space = space().await;
    let retention = space.store.retention();
    let week = WaitTime::from_secs(7 * 86_400);
    for (time, is_change) in [(week, true), (week, false), (week / 7, true)] {
        let changed = retention.keep_finished_jobs(time).await;
        assert_eq!(changed.expect("an answer"), is_change);
    }
}
