//! Revoked certificates on their way to the CRLs: none is forgotten, whoever is held up or dies in between.

use std::collections::BTreeSet;

use bson::{Bson, doc};
use certfleet_domain::{
    CertIdHash, Certificate, CertificateId, CertificateOrigin, CertificateState, Crl, CrlShard,
    IssuerId, OcspResponse, Revocation, RevocationReason, SystemClock, SystemRng, Timestamp,
};
use certfleet_storage::collections::{CERTIFICATES, CRLS};
use certfleet_storage::{CommitError, Selection, Unit};
use time::Duration;

use crate::entities::{account, authority_name, certificate, now, order};
use crate::queries::{by_index, profiled};
use crate::support::{Space, space};

fn issuer() -> IssuerId {
    IssuerId::generate(&SystemClock, &mut SystemRng)
}

async fn commit(space: &Space, unit: Unit) {
    space.store.commit(unit).await.expect("applied");
}

/// A certificate of this issuer's, signed.
async fn issued(space: &Space, issuer: IssuerId, ends: Timestamp) -> Certificate {
    let mut made = certificate(CertificateOrigin::Service);
    made.issuer = issuer;
    made.not_after = ends;
    made.state = CertificateState::Issued { der: vec![1; 900] };
    let unit = space.store.certificates.insert(&made).expect("a unit");
    commit(space, unit).await;
    made
}

async fn revoke(space: &Space, certificate: Certificate) -> Revocation {
    let (serial, at, reason) = (certificate.serial, now(), RevocationReason::Superseded);
    let revoked = certificate.revoke(at, reason).expect("it is issued");
    let unit = space.store.certificates.update(&revoked).expect("a unit");
    commit(space, unit).await;
    Revocation { serial, at, reason }
}

async fn revoked(space: &Space, issuer: IssuerId) -> Revocation {
    let made = issued(space, issuer, now() + Duration::days(90)).await;
    revoke(space, made).await
}

fn crl(issuer: IssuerId, shard: CrlShard, number: u32, now: Timestamp) -> Crl {
    Crl {
        issuer,
        shard,
        number,
        this_update: now,
        renew_at: now + Duration::days(2),
        next_update: now + Duration::days(4),
        listed: 1,
        der: vec![0x30, 0x00],
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_to_be_listed_until_that_is_noted() {
    let space = space().await;
    let certificates = &space.store.certificates;
    let (ours, others) = (issuer(), issuer());
    issued(&space, ours, now() + Duration::days(90)).await;
    let one = revoked(&space, ours).await;
    revoked(&space, others).await;
    let shard = CrlShard::of(one.serial);
    let to_list = async || certificates.shards_to_list(ours).await.expect("a read");
    assert_eq!(to_list().await, BTreeSet::from([shard]));
    assert_eq!(
        certificates.unlisted(ours, shard).await.expect("a read"),
        [one.serial]
    );

    // Another one, after it was read what is to be listed: it stays to be listed.
    let later = loop {
        let later = revoked(&space, ours).await;
        if CrlShard::of(later.serial) == shard {
            break later;
        }
        certificates
            .listed(ours, &[later.serial])
            .await
            .expect("noted");
    };
    certificates
        .listed(ours, &[one.serial])
        .await
        .expect("noted");
    assert_eq!(
        certificates.unlisted(ours, shard).await.expect("a read"),
        [later.serial]
    );
    certificates
        .listed(ours, &[later.serial])
        .await
        .expect("noted");
    certificates
        .listed(ours, &[later.serial])
        .await
        .expect("noted again");
    assert_eq!(to_list().await, BTreeSet::new());

    // Both stay in the list, in the order of their serial numbers.
    let due = if one.serial < later.serial {
        [one, later]
    } else {
        [later, one]
    };
    let read = certificates
        .revoked(ours, shard, now())
        .await
        .expect("a read");
    assert_eq!(read, due);
}

#[tokio::test]
async fn what_has_ended_leaves_the_list() {
    let space = space().await;
    let certificates = &space.store.certificates;
    let ours = issuer();
    let short = issued(&space, ours, now() + Duration::days(1)).await;
    let shard = CrlShard::of(short.serial);
    let short = revoke(&space, short).await;
    let after = async |days: i64| {
        let moment = now() + Duration::days(days);
        certificates
            .revoked(ours, shard, moment)
            .await
            .expect("a read")
    };
    assert_eq!(after(0).await, [short]);
    assert_eq!(after(1).await, []);
}

#[tokio::test]
async fn a_list_comes_only_behind_the_one_that_was_there_when_it_was_begun() {
    let (space, now) = (space().await, now());
    let crls = &space.store.crls;
    let (ours, shard) = (issuer(), CrlShard::all().next().expect("one"));
    let publish = async |number| {
        let unit = crls
            .publish(&crl(ours, shard, number, now))
            .expect("a unit");
        space.store.commit(unit).await
    };
    assert_eq!(crls.find(ours, shard).await.expect("a read"), None);
    publish(1).await.expect("the first");
    // Two workers at once: one is too late.
    assert!(matches!(
        publish(1).await,
        Err(CommitError::Duplicate { .. })
    ));
    publish(2).await.expect("the second");
    assert!(matches!(publish(2).await, Err(CommitError::Changed { .. })));
    assert!(matches!(publish(4).await, Err(CommitError::Changed { .. })));
    let found = crls.find(ours, shard).await.expect("a read");
    assert_eq!(found, Some(crl(ours, shard, 2, now)));

    let by_age = async || crls.by_age(ours).await.expect("a read");
    assert_eq!(by_age().await, [(now + Duration::days(2), shard)]);
    let first = crls.first_to_end().await.expect("a read");
    assert_eq!(first, Some(now + Duration::days(4)));
    // Another one, built before: it comes first.
    let older = CrlShard::all().last().expect("one");
    let before = crl(ours, older, 1, now - Duration::days(1));
    commit(&space, crls.publish(&before).expect("a unit")).await;
    let shards: Vec<CrlShard> = by_age().await.into_iter().map(|(_, shard)| shard).collect();
    assert_eq!(shards, [older, shard]);
    assert_eq!(crls.renew(ours, now).await.expect("due"), 2);
    assert!(by_age().await.iter().all(|(renew_at, _)| *renew_at == now));
}

#[tokio::test]
async fn shards_are_read_from_indexes_alone() {
    let space = space().await;
    let ours = issuer();
    for _ in 0..20 {
        revoked(&space, ours).await;
        issued(&space, ours, now() + Duration::days(90)).await;
    }
    let shard = CrlShard::of(revoked(&space, ours).await.serial);
    let certificates = &space.store.certificates;
    let seen = profiled(&space, CERTIFICATES, async || {
        certificates
            .revoked(ours, shard, now())
            .await
            .expect("a read");
    });
    by_index(&seen.await, "issuer: 1, serial: 1, state.status: 1", 5, 0);
    let seen = profiled(&space, CERTIFICATES, async || {
        certificates.unlisted(ours, shard).await.expect("a read");
    });
    by_index(&seen.await, "issuer: 1, serial: 1, unlisted: 1", 5, 0);
    // Where there is nothing to list, a look reads one key.
    let seen = profiled(&space, CERTIFICATES, async || {
        certificates.shards_to_list(issuer()).await.expect("a read");
    });
    by_index(&seen.await, "issuer: 1, serial: 1, unlisted: 1", 1, 0);
    let crls = &space.store.crls;
    for shard in CrlShard::all().take(5) {
        commit(
            &space,
            crls.publish(&crl(ours, shard, 1, now())).expect("a unit"),
        )
        .await;
    }
    let seen = profiled(&space, CRLS, async || {
        crls.by_age(ours).await.expect("a read");
        crls.first_to_end().await.expect("a read");
    });
    by_index(&seen.await, "renew_at: 1", 6, 0);
}

#[tokio::test]
async fn a_revoked_certificate_that_does_not_parse_is_named() {
    let space = space().await;
    let ours = issuer();
    let one = revoked(&space, ours).await;
    let this = doc! { "serial": one.serial.to_string() };
    let bent = doc! { "$set": { "state.reason": "boredom" } };
    space.alter(CERTIFICATES, this, bent).await;
    let shard = CrlShard::of(one.serial);
    let read = space.store.certificates.revoked(ours, shard, now()).await;
    let error = read.expect_err("a reason that is none").to_string();
    assert!(error.contains(&one.serial.to_string()), "{error}");
}

#[tokio::test]
async fn an_answer_replaces_the_one_before_and_goes_when_its_time_is_over() {
    let space = space().await;
    let responses = &space.store.ocsp_responses;
    let certificate = CertificateId::generate(&SystemClock, &mut SystemRng);
    let mut response = OcspResponse {
        certificate,
        hash: CertIdHash::Sha1,
        revoked: false,
        this_update: now(),
        next_update: now() + Duration::days(1),
        der: vec![0x30, 0x00],
    };
    for revoked in [false, true] {
        response.revoked = revoked;
        commit(&space, responses.put(&response).expect("a unit")).await;
        let found = responses.find(certificate, CertIdHash::Sha1).await;
        assert_eq!(found.expect("a read").as_ref(), Some(&response));
    }
    let other = responses.find(certificate, CertIdHash::Sha256).await;
    assert_eq!(other.expect("a read"), None);
    let mut indexes = space
        .raw("ocsp_responses")
        .list_indexes()
        .await
        .expect("indexes");
    let mut expires = None;
    while indexes.advance().await.expect("the next") {
        let index = indexes.deserialize_current().expect("an index");
        if index.keys.get("next_update") == Some(&Bson::Int32(1)) {
            expires = index.options.and_then(|options| options.expire_after);
        }
    }
    assert_eq!(expires, Some(std::time::Duration::ZERO));
}

#[tokio::test]
async fn certificates_are_selected_by_what_they_have_in_common() {
    let space = space().await;
    let certificates = &space.store.certificates;
    let mine = order(account().id);
    let mut made = certificate(CertificateOrigin::Order {
        account: mine.account,
        order: mine.id,
    });
    made.state = CertificateState::Issued { der: vec![1; 900] };
    commit(&space, certificates.insert(&made).expect("a unit")).await;
    // Revoked, over, and not signed: nobody's.
    revoked(&space, issuer()).await;
    issued(&space, issuer(), now() - Duration::days(1)).await;
    commit(
        &space,
        certificates
            .insert(&certificate(CertificateOrigin::Service))
            .expect("a unit"),
    )
    .await;
    let all = Selection {
        authority: None,
        accounts: Vec::new(),
        name: None,
        issued_since: None,
        issued_before: None,
        valid_at: now(),
    };
    assert!(all.is_everything());
    let hour = Duration::hours(1);
    let named = |name: &str| Selection {
        name: Some(name.to_owned()),
        ..all.clone()
    };
    let since = |at| Selection {
        issued_since: Some(at),
        ..all.clone()
    };
    let before = |at| Selection {
        issued_before: Some(at),
        ..all.clone()
    };
    let authority = Selection {
        authority: Some(authority_name()),
        ..all.clone()
    };
    let of_account = |account| Selection {
        accounts: vec![account],
        ..all.clone()
    };
    for (selection, due) in [
        (all.clone(), 1),
        (authority, 1),
        (of_account(mine.account), 1),
        (of_account(account().id), 0),
        (named("example.org"), 1),
        (named("EXAMPLE.org"), 1),
        (named("xample.org"), 0),
        (named("*"), 0),
        (named(".*"), 0),
        (since(now() - hour), 1),
        (since(now() + hour), 0),
        (before(now() + hour), 1),
        (before(now() - hour), 0),
    ] {
        let count = certificates.count(&selection).await.expect("a count");
        assert_eq!(count, due, "{selection:?}");
    }
}
