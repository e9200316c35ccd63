//! Group commit: each caller learns the fate of its own unit, whatever company it had.

use std::time::Duration;

use certfleet_domain::{Account, Contact, OrderId, SystemClock, SystemRng};
use certfleet_jobs::Job;
use certfleet_storage::collections::{ACCOUNTS, JOBS};
use certfleet_storage::{CommitError, Store, Unit};
use futures_util::future::join_all;
use mongodb::bson::doc;
use tokio::time::Instant;

use crate::entities::{account, order};
use crate::support::space;

fn contact(name: &str) -> Vec<Contact> {
    vec![Contact::parse(&format!("mailto:{name}@example.org")).expect("a contact")]
}

async fn stored(store: &Store, account: &Account) -> Account {
    store
        .accounts
        .find(account.id)
        .await
        .expect("a read")
        .expect("the account")
}

#[tokio::test(flavor = "multi_thread")]
async fn many_units_share_few_transactions() {
    let space = space().await;
    let accounts: Vec<Account> = (0..64).map(|_| account()).collect();
    let units: Vec<Unit> = accounts
        .iter()
        .map(|account| space.store.accounts.insert(account).expect("a unit"))
        .collect();
    let fates = join_all(units.into_iter().map(|unit| space.store.commit(unit))).await;
    for fate in fates {
        fate.expect("each is applied");
    }
    for account in &accounts {
        assert_eq!(stored(&space.store, account).await, *account);
    }
    let transactions = space.counter("certfleet_db_transactions_total", Some("committed"));
    assert!(
        transactions <= 8.0,
        "{transactions} transactions for 64 units"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_updates_exactly_one_wins_and_the_others_know_soon() {
    let space = space().await;
    let other = space.another().await;
    let account = account();
    let insert = space.store.accounts.insert(&account).expect("a unit");
    space.store.commit(insert).await.expect("inserted");

    let started = Instant::now();
    let racers = (0..50).map(|racer| {
        let store = if racer % 2 == 0 { &space.store } else { &other };
        let mut account = account.clone();
        account.contacts = contact(&format!("racer{racer}"));
        async move {
            let unit = store.accounts.update(&account).expect("a unit");
            (account.contacts, store.commit(unit).await)
        }
    });
    let fates = join_all(racers).await;
    let took = started.elapsed();

    let winners: Vec<_> = fates.iter().filter(|(_, fate)| fate.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    for (_, fate) in &fates {
        match fate {
            Ok(()) => {}
            Err(CommitError::Changed { collection, id }) => {
                assert_eq!((*collection, id), (ACCOUNTS, &account.id.to_string()));
            }
            Err(other) => panic!("{other}"),
        }
    }
    let now = stored(&space.store, &account).await;
    assert_eq!((now.version, &now.contacts), (1, &winners[0].0));
    assert!(took < Duration::from_secs(5), "it took {took:?}");
}

/// What was faster may be on the primary alone when the transaction runs into it.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_too_late_can_read_what_was_faster() {
    let space = space().await;
    let stores = [space.store.clone(), space.another().await];
    for _ in 0..50 {
        let account = account();
        let insert = space.store.accounts.insert(&account).expect("a unit");
        space.store.commit(insert).await.expect("inserted");
        join_all(
            stores
                .iter()
                .cycle()
                .take(12)
                .zip(0..)
                .map(|(store, late)| {
                    let account = account.clone();
                    async move {
                        // One after the other, a read apart: some then come between the winner's write and its majority.
                        for _ in 0..late {
                            stored(store, &account).await;
                        }
                        let unit = store.accounts.update(&account).expect("a unit");
                        if store.commit(unit).await.is_err() {
                            assert_eq!(stored(store, &account).await.version, 1);
                        }
                    }
                }),
        )
        .await;
    }
    for _ in 0..50 {
        let key = account();
        join_all(
            stores
                .iter()
                .cycle()
                .take(12)
                .zip(0..)
                .map(|(store, late)| {
                    let mut account = account();
                    account.thumbprint.clone_from(&key.thumbprint);
                    async move {
                        for _ in 0..late {
                            let read = store.accounts.find(account.id).await;
                            assert!(read.expect("a read").is_none());
                        }
                        let unit = store.accounts.insert(&account).expect("a unit");
                        if store.commit(unit).await.is_err() {
                            let (authority, key) = (&account.authority, &account.thumbprint);
                            let found = store.accounts.find_by_key(authority, key).await;
                            assert!(found.expect("a read").is_some(), "nobody has the key");
                        }
                    }
                }),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_key_is_told_to_those_who_want_it_and_to_no_other() {
    let space = space().await;
    let first = account();
    let insert = space.store.accounts.insert(&first).expect("a unit");
    space.store.commit(insert).await.expect("inserted");

    // 20 in one batch: every fifth wants the key that is taken, two more want one and the same new key.
    let mut accounts: Vec<Account> = (0..20).map(|_| account()).collect();
    for thief in accounts.iter_mut().step_by(5) {
        thief.thumbprint.clone_from(&first.thumbprint);
    }
    accounts[7].thumbprint = "wanted twice".to_owned();
    accounts[13].thumbprint = "wanted twice".to_owned();
    let units: Vec<Unit> = accounts
        .iter()
        .map(|account| space.store.accounts.insert(account).expect("a unit"))
        .collect();
    let fates = join_all(units.into_iter().map(|unit| space.store.commit(unit))).await;

    let won_of_the_two = fates[7].is_ok();
    for (index, fate) in fates.iter().enumerate() {
        let applied = index % 5 != 0
            && match index {
                7 => won_of_the_two,
                13 => !won_of_the_two,
                _ => true,
            };
        match fate {
            Ok(()) => assert!(applied, "account {index} was applied"),
            Err(CommitError::Duplicate { collection, key }) => {
                assert!(!applied, "account {index} was refused");
                assert_eq!(*collection, ACCOUNTS);
                assert!(key.contains("thumbprint"), "{key}");
            }
            Err(other) => panic!("{other}"),
        }
        let found = space.store.accounts.find(accounts[index].id).await;
        assert_eq!(found.expect("a read").is_some(), applied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_by_an_update_once() {
    let space = space().await;
    let accounts: Vec<Account> = (0..4).map(|_| account()).collect();
    for account in &accounts {
        let insert = space.store.accounts.insert(account).expect("a unit");
        space.store.commit(insert).await.expect("inserted");
    }
    let updates = accounts.iter().map(|account| {
        let mut account = account.clone();
        account.thumbprint = "the new key".to_owned();
        let unit = space.store.accounts.update(&account).expect("a unit");
        space.store.commit(unit)
    });
    let fates = join_all(updates).await;
    assert_eq!(fates.iter().filter(|fate| fate.is_ok()).count(), 1);
    let refused =
        |fate: &&Result<(), CommitError>| matches!(fate, Err(CommitError::Duplicate { .. }));
    assert_eq!(fates.iter().filter(refused).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ensured_by_many_is_there_once_and_as_it_was() {
    let space = space().await;
    let other = space.another().await;
    let job = Job::SignCertificate {
        order: OrderId::generate(&SystemClock, &mut SystemRng),
        authority: None,
    };
    let ensures = (0..50).map(|racer| {
        let store = if racer % 2 == 0 { &space.store } else { &other };
        store.jobs.ensure(&job)
    });
    for fate in join_all(ensures).await {
        fate.expect("each finds it there");
    }
    let jobs = space.raw(JOBS);
    assert_eq!(jobs.count_documents(doc! {}).await.expect("a count"), 1);

    let mark = doc! { "$set": { "state": "leased", "fence": 7_i64 } };
    jobs.update_one(doc! {}, mark).await.expect("marked");
    space.store.jobs.ensure(&job).await.expect("it is there");
    let after = jobs.find_one(doc! {}).await.expect("a read").expect("it");
    assert_eq!(after.get_i64("fence").expect("a fence"), 7);
    assert_eq!(after.get_str("state").expect("a state"), "leased");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_applied_as_a_whole_or_not_at_all() {
    let space = space().await;
    let store = &space.store;
    let account = account();
    let insert = store.accounts.insert(&account).expect("a unit");
    store.commit(insert).await.expect("inserted");
    let mut stale = account.clone();
    stale.version = 5;

    let (doomed, mate) = (order(account.id), order(account.id));
    let doomed_unit = store
        .orders
        .insert(&doomed)
        .expect("a unit")
        .and(store.accounts.update(&stale).expect("a unit"));
    let mate_unit = store.orders.insert(&mate).expect("a unit");
    let (doomed_fate, mate_fate) = tokio::join!(store.commit(doomed_unit), store.commit(mate_unit));

    assert!(matches!(doomed_fate, Err(CommitError::Changed { .. })));
    mate_fate.expect("its company is no fault of its own");
    assert_eq!(store.orders.find(doomed.id).await.expect("a read"), None);
    assert_eq!(
        store.orders.find(mate.id).await.expect("a read"),
        Some(mate)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_taken_is_a_duplicate() {
    let space = space().await;
    let account = account();
    let unit = space.store.accounts.insert(&account).expect("a unit");
    let (one, two) = tokio::join!(
        space.store.commit(unit.clone()),
        space.store.commit(unit.clone())
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let again = space.store.commit(unit).await;
    assert!(
        matches!(again, Err(CommitError::Duplicate { .. })),
        "{again:?}"
    );
}

/// Such a unit can never be applied, and looks each time as if it could.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_contradicts_itself_is_refused() {
    let space = space().await;
    let account = account();
    let insert = space.store.accounts.insert(&account).expect("a unit");
    space.store.commit(insert).await.expect("inserted");
    let update = space.store.accounts.update(&account).expect("a unit");
    let fate = space.store.commit(update.clone().and(update)).await;
    assert!(matches!(fate, Err(CommitError::Changed { .. })), "{fate:?}");
    assert_eq!(stored(&space.store, &account).await.version, 0);
}

#[tokio::test]
async fn a_unit_of_nothing_is_applied() {
    let space = space().await;
    space
        .store
        .commit(Unit::default())
        .await
        .expect("nothing to do");
}
