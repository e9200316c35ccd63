//! A nonce is spent once, whoever tries it and where.

use certfleet_domain::{SystemRng, Timestamp};
use certfleet_storage::collections::{NONCES, ORDERS};
use certfleet_storage::{NonceSpent, Nonces};
use futures_util::future::join_all;
use mongodb::bson::doc;
use rand::RngCore;
use time::Duration;

use crate::entities::{account, now, order};
use crate::support::space;

fn nonce_minted_at(at: Timestamp) -> [u8; Nonces::ID_LENGTH] {
    let mut id = [0; Nonces::ID_LENGTH];
    let seconds = u64::try_from(at.unix_timestamp()).expect("after 1970");
    id[..5].copy_from_slice(&seconds.to_be_bytes()[3..]);
    SystemRng.fill_bytes(&mut id[5..]);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn each_nonce_is_spent_exactly_once_whichever_replicas_it_is_tried_on() {
    let space = space().await;
    let other = space.another().await;
    let nonces: Vec<_> = (0..1_000).map(|_| nonce_minted_at(now())).collect();
    let attempts = nonces
        .iter()
        .flat_map(|id| [&space.store, &other].map(|store| store.nonces.spend(id)));
    let spent: Vec<NonceSpent> = join_all(attempts)
        .await
        .into_iter()
        .map(|fate| fate.expect("an answer"))
        .collect();
    for (index, pair) in spent.chunks(2).enumerate() {
        let now = pair.iter().filter(|fate| **fate == NonceSpent::Now).count();
        assert_eq!(now, 1, "nonce {index}: {pair:?}");
    }
    let later = space.store.nonces.spend(&nonces[0]).await;
    assert_eq!(later.expect("an answer"), NonceSpent::Before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_nonce_many_times_in_one_batch_is_spent_once() {
    let space = space().await;
    let id = nonce_minted_at(now());
    let attempts = (0..100).map(|_| space.store.nonces.spend(&id));
    let fates = join_all(attempts).await;
    let won = fates
        .into_iter()
        .filter(|fate| matches!(fate, Ok(NonceSpent::Now)))
        .count();
    assert_eq!(won, 1);
}

/// Two requests with one nonce, on two replicas or on one, each with an order of its own: one order comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn of_acts_under_one_nonce_exactly_one_is_done() {
    let space = space().await;
    let stores = [
        space.store.clone(),
        space.another().await,
        space.store.clone(),
    ];
    let account = account();
    let races = (0..100).map(|_| {
        let (stores, account) = (&stores, &account);
        async move {
            let nonce = nonce_minted_at(now());
            let acts = stores.iter().map(|store| async {
                let order = order(account.id);
                let unit = store.orders.insert(&order).expect("a unit");
                (order, store.nonces.spend_with(&nonce, unit).await)
            });
            for (order, fate) in join_all(acts).await {
                let there = stores[0].orders.find(order.id).await.expect("a read");
                assert_eq!(there.is_some(), fate.is_ok(), "{fate:?}");
                assert!(fate.is_ok() || fate.is_err_and(|error| error.is_spent_nonce()));
            }
        }
    });
    join_all(races).await;
    let done = space.raw(ORDERS).count_documents(doc! {}).await;
    assert_eq!(done.expect("a count"), 100);
}

/// What another was faster with spends no nonce: the request may look again and still act under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_in_conflict_spends_no_nonce() {
    let space = space().await;
    let store = &space.store;
    let account = account();
    let insert = || store.accounts.insert(&account).expect("a unit");
    store.commit(insert()).await.expect("inserted");
    let nonce = nonce_minted_at(now());
    let refused = store.nonces.spend_with(&nonce, insert()).await;
    assert!(refused.is_err_and(|error| error.is_conflict() && !error.is_spent_nonce()));
    let spent = store.nonces.spend(&nonce).await;
    assert_eq!(spent.expect("an answer"), NonceSpent::Now);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_expired_nonces_are_forgotten_and_in_steps() {
    let space = space().await;
    let nonces = &space.store.nonces;
    let now = now();
    let just_old_enough = now - Nonces::LONGEST_LIFETIME - Nonces::CLOCK_TOLERANCE;
    let minted = [
        just_old_enough - Duration::seconds(1),
        just_old_enough,
        now + Nonces::CLOCK_TOLERANCE,
    ];
    let ids: Vec<_> = (0..30)
        .map(|index| nonce_minted_at(minted[index % 3]))
        .collect();
    for fate in join_all(ids.iter().map(|id| nonces.spend(id))).await {
        fate.expect("spent");
    }
    assert_eq!(nonces.forget_expired(now, 4).await.expect("a step"), 4);
    assert_eq!(nonces.forget_expired(now, 100).await.expect("a step"), 6);
    assert_eq!(nonces.forget_expired(now, 100).await.expect("a step"), 0);
    let left = space.raw(NONCES).count_documents(doc! {}).await;
    assert_eq!(left.expect("a count"), 20);
    let again = nonces.spend(&ids[1]).await.expect("an answer");
    assert_eq!(again, NonceSpent::Before, "clocks may differ");
}
