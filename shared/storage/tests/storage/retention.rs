//! What has served its time goes, and nothing else.

use std::time::Duration as WaitTime;

use certfleet_domain::{
    CertificateId, Clock, Current, Managed, ManagedId, ManualClock, Order, OrderId, SystemClock,
    SystemRng, Timestamp, Version, VersionId,
};
use certfleet_storage::collections::SECRETS;
use certfleet_storage::{Keep, Removed, SecretName};
use mongodb::bson::doc;
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
        versions_since: None,
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
        versions: 0,
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
        versions_since: None,
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

#[tokio::test]
async fn former_certificates_of_the_fleet_go_with_their_keys_and_the_present_one_stays() {
    let space = space().await;
    let store = &space.store;
    let limit = now() - Duration::days(30);
    let managed = ManagedId::generate(&SystemClock, &mut SystemRng);
    let version = |not_after: Timestamp| Version {
        id: VersionId::generate(&SystemClock, &mut SystemRng),
        managed,
        upstream: "ca".parse().expect("a name"),
        chain: "PEM".to_owned(),
        not_before: not_after - Duration::days(90),
        not_after,
        created_at: not_after - Duration::days(90),
    };
    let former = version(limit - Duration::days(2));
    let later = version(limit + Duration::days(1));
    // It was not renewed: expired for as long, and still what there is.
    let present = version(limit - Duration::days(1));
    let current = Current {
        version: present.id,
        upstream: present.upstream.clone(),
        cert_id: None,
        serial: "01".to_owned(),
        names: vec!["a.example.org".parse().expect("a name")],
        not_before: present.not_before,
        not_after: present.not_after,
        advice: None,
        ask_at: present.not_after,
    };
    let upstreams = vec![present.upstream.clone()];
    let its = Managed::imported(managed, current, upstreams, now());
    let mut unit = store.fleet.insert(&its).expect("a unit");
    for version in [&former, &later, &present] {
        unit = unit.and(store.fleet.insert_version(version).expect("a unit"));
    }
    store.commit(unit).await.expect("written");
    let secrets = space.raw(SECRETS);
    let key = |version: &Version| SecretName::ManagedKey(version.id).to_string();
    for version in [&former, &later, &present] {
        let secret = doc! { "_id": key(version) };
        secrets.insert_one(secret).await.expect("written");
    }
    let keep = Keep {
        nonces_since: now(),
        jobs: WaitTime::from_secs(7 * 86_400),
        orders_since: limit,
        authorizations_since: limit,
        versions_since: Some(limit),
    };
    let removed = store.retention().step(keep).await.expect("a step");
    assert_eq!(removed.versions, 1);
    let left = store.fleet.versions_of(managed).await.expect("a read");
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&former));
    for (version, is_there) in [(&former, 0), (&later, 1), (&present, 1)] {
        let count = secrets.count_documents(doc! { "_id": key(version) });
        assert_eq!(count.await.expect("a count"), is_there);
    }
    let again = store.retention().step(keep).await.expect("a step");
    assert_eq!(again.versions, 0);
}
