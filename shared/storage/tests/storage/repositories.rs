//! What is written is read back as it was, and found by what it is looked for with.

use certfleet_domain::{
    Account, AccountStatus, Authorization, AuthorizationState, CertificateId, CertificateOrigin,
    CertificateState, ChallengeState, Identifier, Order, OrderId, OrderState, Problem, ProblemKind,
    Replaced, RevocationReason, SystemClock, SystemRng,
};
use certfleet_storage::{CommitError, OrdersPage};
use mongodb::bson::doc;
use time::Duration;

use crate::entities::{account, authority, authority_name, authorization, certificate, now, order};
use crate::support::{Space, sealed, space};

async fn commit(
    space: &Space,
    unit: Result<certfleet_storage::Unit, certfleet_storage::StorageError>,
) {
    space
        .store
        .commit(unit.expect("a unit"))
        .await
        .expect("committed");
}

#[tokio::test]
async fn accounts_round_trip_and_are_found_by_their_key() {
    let space = space().await;
    let accounts = &space.store.accounts;
    for status in [
        AccountStatus::Valid,
        AccountStatus::Deactivated,
        AccountStatus::Revoked,
    ] {
        for terms_agreed_at in [None, Some(now())] {
            let mut due = Account {
                status,
                terms_agreed_at,
                ..account()
            };
            commit(&space, accounts.insert(&due)).await;
            let found = accounts.find(due.id).await.expect("a read");
            assert_eq!(found.as_ref(), Some(&due));
            let found = accounts.find_by_key(&due.authority, &due.thumbprint).await;
            assert_eq!(found.expect("a read"), Some(due.clone()));

            due.contacts.clear();
            due.terms_agreed_at = None;
            commit(&space, accounts.update(&due)).await;
            due.version += 1;
            assert_eq!(accounts.find(due.id).await.expect("a read"), Some(due));
        }
    }
    let nobody = accounts.find_by_key(&authority_name(), "none").await;
    assert_eq!(nobody.expect("a read"), None);
}

fn problem() -> Problem {
    let detail = "two things were wrong".to_owned();
    let part = Problem::new(ProblemKind::Dns, "no such name")
        .about(Identifier::dns("example.org").expect("a name"));
    Problem {
        subproblems: vec![part.clone(), part],
        ..Problem::new(ProblemKind::Compound, detail)
    }
}

#[tokio::test]
async fn orders_round_trip_in_every_state() {
    let space = space().await;
    let orders = &space.store.orders;
    let certificate = CertificateId::generate(&SystemClock, &mut SystemRng);
    for state in [
        OrderState::Open,
        OrderState::Processing { certificate },
        OrderState::Valid { certificate },
        OrderState::Invalid { error: problem() },
    ] {
        let mut due = order(account().id);
        due.not_after = Some(now() + Duration::days(3));
        due.replaces = Some(Replaced {
            certificate,
            cert_id: "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned(),
        });
        commit(&space, orders.insert(&due)).await;
        assert_eq!(
            orders.find(due.id).await.expect("a read"),
            Some(due.clone())
        );
        due.state = state;
        due.not_before = None;
        due.replaces = None;
        commit(&space, orders.update(&due)).await;
        due.version += 1;
        assert_eq!(orders.find(due.id).await.expect("a read"), Some(due));
    }
}

#[tokio::test]
async fn authorizations_round_trip_in_every_state() {
    let space = space().await;
    let authorizations = &space.store.authorizations;
    let states = [
        (AuthorizationState::Pending, ChallengeState::Processing),
        (
            AuthorizationState::Valid,
            ChallengeState::Valid {
                validated_at: now(),
            },
        ),
        (
            AuthorizationState::Invalid,
            ChallengeState::Invalid { error: problem() },
        ),
        (AuthorizationState::Deactivated, ChallengeState::Pending),
        (AuthorizationState::Revoked, ChallengeState::Pending),
    ];
    let names = ["example.org", "*.example.org", "192.0.2.1", "2001:db8::1"];
    let mut all = Vec::new();
    for ((state, challenge), name) in states.into_iter().zip(names.into_iter().cycle()) {
        let mut due = authorization(account().id, name);
        commit(&space, authorizations.insert(&due)).await;
        due.state = state;
        due.challenges[0].state = challenge;
        commit(&space, authorizations.update(&due)).await;
        due.version += 1;
        let found = authorizations.find(due.id).await.expect("a read");
        assert_eq!(found.as_ref(), Some(&due));
        all.push(due);
    }
    all.reverse();
    let mut ids: Vec<_> = all.iter().map(|authorization| authorization.id).collect();
    ids.insert(2, crate::entities::authorization_id());
    let found = authorizations.find_all(&ids).await.expect("a read");
    assert_eq!(
        found, all,
        "in the order asked for, without the unknown one"
    );
}

#[tokio::test]
async fn only_authorizations_that_count_are_found_valid() {
    let space = space().await;
    let authorizations = &space.store.authorizations;
    let (mine, other) = (account().id, account().id);
    let valid = |account, name: &str| Authorization {
        state: AuthorizationState::Valid,
        ..authorization(account, name)
    };
    let due = valid(mine, "example.org");
    let wildcard = valid(mine, "*.example.org");
    let elsewhere = Authorization {
        authority: "other".parse().expect("a name"),
        ..valid(mine, "example.org")
    };
    let too_short = Authorization {
        expires_at: now() + Duration::minutes(1),
        ..valid(mine, "example.org")
    };
    let pending = authorization(mine, "example.org");
    for each in [
        &due,
        &wildcard,
        &elsewhere,
        &too_short,
        &pending,
        &valid(other, "example.org"),
        &valid(mine, "other.example"),
    ] {
        commit(&space, authorizations.insert(each)).await;
    }
    let names = [due.identifier.clone(), wildcard.identifier.clone()];
    let until = now() + Duration::hours(1);
    let mut found = authorizations
        .find_valid(&authority_name(), mine, &names, until)
        .await
        .expect("a read");
    found.sort_by_key(|authorization| authorization.identifier.is_wildcard());
    assert_eq!(found, [due, wildcard]);
}

#[tokio::test]
async fn certificates_round_trip_and_are_found() {
    let space = space().await;
    let certificates = &space.store.certificates;
    let of_order = || {
        let order = order(account().id);
        CertificateOrigin::Order {
            account: order.account,
            order: order.id,
        }
    };
    for origin in [
        of_order(),
        CertificateOrigin::Service,
        CertificateOrigin::Service,
    ] {
        let mut due = certificate(origin);
        commit(&space, certificates.insert(&due)).await;
        for state in [
            due.state.clone(),
            CertificateState::Issued { der: vec![1; 900] },
            CertificateState::Revoked {
                der: vec![1; 900],
                at: now(),
                reason: RevocationReason::KeyCompromise,
            },
        ] {
            due.state = state;
            due.replaced_by = due.replaced_by.xor(Some(order(account().id).id));
            commit(&space, certificates.update(&due)).await;
            due.version += 1;
            let found = certificates.find(due.id).await.expect("a read");
            assert_eq!(found.as_ref(), Some(&due));
        }
        let found = certificates.find_by_serial(due.serial).await;
        assert_eq!(found.expect("a read").as_ref(), Some(&due));
        if let CertificateOrigin::Order { order, .. } = origin {
            let found = certificates.find_by_order(order).await.expect("a read");
            assert_eq!(found, Some(due));
        }
    }
}

#[tokio::test]
async fn an_order_has_one_certificate_and_a_serial_number_too() {
    let space = space().await;
    let certificates = &space.store.certificates;
    let order = order(account().id);
    let origin = CertificateOrigin::Order {
        account: order.account,
        order: order.id,
    };
    let first = certificate(origin);
    commit(&space, certificates.insert(&first)).await;
    let mut same_serial = certificate(CertificateOrigin::Service);
    same_serial.serial = first.serial;
    for (second, index) in [(certificate(origin), "order"), (same_serial, "serial")] {
        let unit = certificates.insert(&second).expect("a unit");
        match space.store.commit(unit).await {
            Err(CommitError::Duplicate { key, .. }) => assert!(key.contains(index), "{key}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn authorities_round_trip() {
    let space = space().await;
    let due = authority();
    commit(&space, space.store.authorities.insert(&due)).await;
    let found = space.store.authorities.find(&due.name).await;
    assert_eq!(found.expect("a read").as_ref(), Some(&due));
    let mut second = authority();
    second.name = "another".parse().expect("a name");
    commit(&space, space.store.authorities.insert(&second)).await;
    let all = space.store.authorities.all().await.expect("a read");
    assert_eq!(all, [second, due]);
}

#[tokio::test]
async fn sealed_secrets_are_kept_and_replaced() {
    let space = space().await;
    let secrets = &space.store.secrets;
    assert_eq!(secrets.find("key").await.expect("a read"), None);
    let (one, other) = (sealed("one").await, sealed("other").await);
    commit(&space, Ok(secrets.insert("key", &one))).await;
    let second = space.store.commit(secrets.insert("key", &other)).await;
    assert!(matches!(second, Err(CommitError::Duplicate { .. })));
    commit(&space, Ok(secrets.put("key", &other))).await;
    commit(&space, Ok(secrets.put("$other", &one))).await;
    for (name, due) in [("key", &other), ("$other", &one)] {
        let found = secrets.find(name).await.expect("a read");
        assert_eq!(found.as_deref(), Some(due.as_bytes()));
    }
    let kek = one.kek().to_string();
    let counts = secrets.count_by_kek().await.expect("a count");
    assert_eq!(counts, [(kek, 2)].into());
}

#[tokio::test]
async fn orders_are_listed_page_by_page() {
    let space = space().await;
    let orders = &space.store.orders;
    let (mine, other) = (account().id, account().id);
    let mut due = Vec::new();
    for account in [mine, mine, other, mine, mine, mine] {
        let order = order(account);
        commit(&space, orders.insert(&order)).await;
        if account == mine {
            due.push(order);
        }
    }
    due.sort_by_key(|order| order.id);
    let ids: Vec<OrderId> = due.iter().map(|order| order.id).collect();
    let page = |orders: &[Order], more| OrdersPage {
        orders: orders.to_vec(),
        more,
    };
    let all = orders.page(mine, None, 10).await.expect("a read");
    assert_eq!(all, page(&due, false));
    let first = orders.page(mine, None, 2).await.expect("a read");
    assert_eq!(first, page(&due[..2], true));
    let second = orders.page(mine, Some(ids[1]), 2).await.expect("a read");
    assert_eq!(second, page(&due[2..4], true));
    let exact = orders.page(mine, Some(ids[2]), 2).await.expect("a read");
    assert_eq!(exact, page(&due[3..], false));
    let beyond = orders.page(mine, Some(ids[4]), 2).await.expect("a read");
    assert_eq!(beyond, page(&[], false));
    let nobody = orders.page(account().id, None, 2).await.expect("a read");
    assert_eq!(nobody, page(&[], false));
}

/// A replica of an older build must not lose what a newer one has written beside its own fields.
#[tokio::test]
async fn an_update_leaves_fields_of_a_newer_build_as_they_are() {
    let space = space().await;
    let account = account();
    commit(&space, space.store.accounts.insert(&account)).await;
    let newer = doc! { "$set": { "since_next_release": 42 } };
    assert_eq!(space.alter("accounts", doc! {}, newer).await, 1);
    commit(&space, space.store.accounts.update(&account)).await;
    let stored = space.raw("accounts").find_one(doc! {}).await;
    let stored = stored.expect("a read").expect("the account");
    let field = stored.get_i32("since_next_release");
    assert_eq!(field.expect("the newer field"), 42);
    assert_eq!(stored.get_i64("version").expect("a version"), 1);
}
