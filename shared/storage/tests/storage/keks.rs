//! KEKs: one seals in the whole cluster, and what was sealed under another before that and comes after it is refused.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, doc};
use certfleet_domain::SystemRng;
use certfleet_secrets::{
    DataKey, KekFuture, KekId, KekProvider, Keyring, LocalKek, Purpose, Secret, WrapNonce,
};
use certfleet_storage::collections::SECRETS;
use certfleet_storage::{CommitError, SecretName, Store, Vault, VaultError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{Space, space};

/// No KEK here has to be waited for.
const AT_ONCE: Duration = Duration::from_secs(1);

fn kek(number: u8) -> Arc<LocalKek> {
    Arc::new(LocalKek::new(&[number; 32]))
}

/// A process that holds these, of which its settings name the first as the one that seals.
fn vault(store: &Store, first: u8, others: &[u8]) -> Vault {
    let others = others
        .iter()
        .map(|other| kek(*other) as Arc<dyn KekProvider>)
        .collect();
    let keyring = Keyring::new(kek(first), others).expect("different ones");
    Vault::new(store, Arc::new(keyring))
}

fn name(number: u8) -> SecretName {
    SecretName::NonceKey(number)
}

fn secret(number: u8) -> Secret {
    Secret::new(vec![number; 32])
}

async fn store_secret(space: &Space, vault: &Vault, number: u8) -> Result<(), CommitError> {
    let unit = vault
        .insert(&name(number), &secret(number), &mut SystemRng)
        .await
        .expect("sealed");
    space.store.commit(unit).await
}

async fn opens(vault: &Vault, number: u8) {
    let opened = vault.require(&name(number), Purpose::ProveKek).await;
    let opened = opened.expect("it opens");
    assert_eq!(opened.expose(), secret(number).expose());
}

async fn rotate(space: &Space, to: u8) {
    let sealing = space.store.keks.sealing().await.expect("an answer");
    let sealing = sealing.expect("one seals");
    let unit = space.store.keks.switch(&sealing, kek(to).id());
    space.store.commit(unit).await.expect("switched");
}

/// How many secrets are under this KEK.
async fn under(space: &Space, number: u8) -> u64 {
    let counts = space.store.secrets.count_by_kek().await.expect("an answer");
    let id = kek(number).id().to_string();
    counts.get(&id).copied().unwrap_or(0)
}

async fn rewrap(vault: &Vault) -> u64 {
    let until = Instant::now() + Duration::from_secs(60);
    let done = vault.rewrap(until).await.expect("sealed anew");
    assert_eq!(done.left, []);
    done.sealed
}

#[tokio::test]
async fn the_cluster_and_not_a_process_says_which_kek_seals() {
    let space = space().await;
    let one = vault(&space.store, 1, &[2]);
    // Its settings name another first.
    let other = vault(&space.store, 2, &[1]);
    store_secret(&space, &one, 1).await.expect("stored");
    store_secret(&space, &other, 2).await.expect("stored");
    assert_eq!((under(&space, 1).await, under(&space, 2).await), (2, 0));

    rotate(&space, 2).await;
    store_secret(&space, &one, 3).await.expect("stored");
    assert_eq!((under(&space, 1).await, under(&space, 2).await), (2, 1));
    assert_eq!(rewrap(&one).await, 2);
    assert_eq!((under(&space, 1).await, under(&space, 2).await), (0, 3));
    assert_eq!(rewrap(&other).await, 0);
    // Without the former one, and not without the new one.
    let alone = vault(&space.store, 2, &[]);
    let away = alone.keks_not_at_hand(AT_ONCE).await.expect("an answer");
    assert_eq!(away, []);
    for number in 1..=3 {
        opens(&alone, number).await;
    }
    let lacking = vault(&space.store, 1, &[]);
    let missing = lacking.keks_not_at_hand(AT_ONCE).await.expect("an answer");
    let missing: Vec<_> = missing.iter().map(|away| away.kek.as_str()).collect();
    assert_eq!(missing, [kek(2).id().as_str()]);
    let refused = lacking.insert(&name(4), &secret(4), &mut SystemRng).await;
    assert!(matches!(refused, Err(VaultError::NotAtHand(id)) if id == *kek(2).id()));

    // And back.
    rotate(&space, 1).await;
    assert_eq!(rewrap(&one).await, 3);
    assert_eq!(under(&space, 2).await, 0);
}

#[tokio::test]
async fn a_kek_is_in_use_until_a_search_finds_nothing_under_it() {
    let space = space().await;
    let keks = &space.store.keks;
    let in_use = async || keks.in_use().await.expect("an answer");
    let one = vault(&space.store, 1, &[2]);
    assert_eq!(in_use().await, [""; 0]);
    store_secret(&space, &one, 1).await.expect("stored");
    assert_eq!(in_use().await, [kek(1).id().as_str()]);
    rotate(&space, 2).await;
    assert_eq!(in_use().await.len(), 2);
    // Too late already: it seals a batch and has no time to search once more.
    let done = one.rewrap(Instant::now()).await.expect("sealed anew");
    assert_eq!((done.sealed, in_use().await.len()), (1, 2));
    assert_eq!(rewrap(&one).await, 0);
    assert_eq!(in_use().await, [kek(2).id().as_str()]);
    // One who read the list, and stands still while the KEK is opened and closed again, does not write down what he saw.
    rotate(&space, 1).await;
    let retiring = keks.retiring().await.expect("an answer");
    rotate(&space, 2).await;
    rotate(&space, 1).await;
    for kek in &retiring {
        keks.emptied(kek).await.expect("done");
    }
    assert_eq!(in_use().await.len(), 2);
    assert_eq!(rewrap(&one).await, 1);
    assert_eq!(in_use().await, [kek(1).id().as_str()]);
}

#[tokio::test]
async fn what_was_sealed_before_a_rotation_and_comes_after_it_is_refused() {
    let space = space().await;
    let one = vault(&space.store, 1, &[2]);
    store_secret(&space, &one, 1).await.expect("stored");
    // Sealed, and then it stands still.
    let stale = [
        one.insert(&name(2), &secret(2), &mut SystemRng).await,
        one.put(&name(1), &secret(9), &mut SystemRng).await,
    ];
    rotate(&space, 2).await;
    rewrap(&one).await;
    assert_eq!(under(&space, 1).await, 0);
    for unit in stale {
        let refused = space.store.commit(unit.expect("sealed")).await;
        assert!(
            matches!(refused, Err(CommitError::Changed { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(under(&space, 1).await, 0);
    opens(&vault(&space.store, 2, &[]), 1).await;
    // Of two that rotate at once one does.
    let sealing = space.store.keks.sealing().await.expect("an answer");
    let sealing = sealing.expect("one seals");
    let (keks, store) = (&space.store.keks, &space.store);
    let first = store.commit(keks.switch(&sealing, kek(1).id())).await;
    let second = store.commit(keks.switch(&sealing, kek(3).id())).await;
    assert!(first.is_ok() && second.is_err(), "{first:?} {second:?}");
}

/// A worker that stood still while the KEK was rotated twice must not bring the one in between back.
#[tokio::test]
async fn what_was_sealed_anew_under_a_kek_that_no_longer_seals_is_not_stored() {
    let space = space().await;
    let one = vault(&space.store, 1, &[2, 3]);
    store_secret(&space, &one, 1).await.expect("stored");
    rotate(&space, 2).await;
    let (point, woken) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stale = {
        let keyring = Keyring::new(
            Arc::new(Slow(
                LocalKek::new(&[2; 32]),
                Arc::clone(&point),
                Arc::clone(&woken),
            )),
            vec![kek(1)],
        );
        Vault::new(&space.store, Arc::new(keyring.expect("two")))
    };
    let late = rewrap(&stale);
    let meanwhile = async {
        point.notified().await;
        rotate(&space, 3).await;
        woken.notify_one();
    };
    let (stored, ()) = tokio::join!(late, meanwhile);
    assert_eq!(stored, 0);
    assert_eq!((under(&space, 1).await, under(&space, 2).await), (1, 0));
    assert_eq!(rewrap(&one).await, 1);
    assert_eq!(under(&space, 3).await, 1);
}

/// A KEK that tells when it is to wrap, and waits until it is told to.
struct Slow(LocalKek, Arc<Notify>, Arc<Notify>);

impl KekProvider for Slow {
    fn id(&self) -> &KekId {
        self.0.id()
    }

    fn is_named_by_content(&self) -> bool {
        true
    }

    fn wrap<'a>(
        &'a self,
        data_key: &'a DataKey,
        context: &'a [u8],
        nonce: WrapNonce,
    ) -> KekFuture<'a, Vec<u8>> {
        Box::pin(async move {
            self.1.notify_one();
            self.2.notified().await;
            self.0.wrap(data_key, context, nonce).await
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KekFuture<'a, DataKey> {
        self.0.unwrap(wrapped, context)
    }
}

#[tokio::test]
async fn many_that_seal_while_the_kek_changes_lose_nothing() {
    let space = space().await;
    let one = vault(&space.store, 1, &[2]);
    store_secret(&space, &one, 0).await.expect("stored");
    let storing = async {
        for number in 1..=100 {
            // As a handler does: what has changed meanwhile is done again.
            while let Err(error) = store_secret(&space, &one, number).await {
                assert!(matches!(error, CommitError::Changed { .. }), "{error:?}");
            }
        }
    };
    let rotating = async {
        for to in [2, 1, 2, 1, 2] {
            rotate(&space, to).await;
            rewrap(&one).await;
        }
    };
    tokio::join!(storing, rotating);
    rewrap(&one).await;
    assert_eq!((under(&space, 1).await, under(&space, 2).await), (0, 101));
    let alone = vault(&space.store, 2, &[]);
    for number in 0..=100 {
        opens(&alone, number).await;
    }
}

#[tokio::test]
async fn one_that_does_not_open_is_named_and_holds_up_no_other() {
    let space = space().await;
    let one = vault(&space.store, 1, &[2]);
    for number in 1..=3 {
        store_secret(&space, &one, number).await.expect("stored");
    }
    // Two changed places: each is bound to its own.
    let secrets = space.raw(SECRETS);
    let read = async |number: u8| {
        let found = secrets.find_one(doc! { "_id": name(number).to_string() });
        let found = found.await.expect("an answer").expect("there");
        found.get("sealed").cloned().expect("bytes")
    };
    let write = async |number: u8, sealed: Bson| {
        let set = doc! { "$set": { "sealed": sealed } };
        let one = doc! { "_id": name(number).to_string() };
        secrets.update_one(one, set).await.expect("written");
    };
    let (first, second) = (read(1).await, read(2).await);
    write(1, second).await;
    write(2, first).await;

    rotate(&space, 2).await;
    let until = Instant::now() + Duration::from_secs(60);
    let done = one.rewrap(until).await.expect("an answer");
    assert_eq!(done.sealed, 1);
    let mut left: Vec<&str> = done.left.iter().map(|(name, _)| name.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["nonce-key/1", "nonce-key/2"]);
    let named = done
        .left
        .iter()
        .all(|(name, why)| why.contains(name.as_str()));
    assert!(named, "{:?}", done.left);
    opens(&one, 3).await;
}

/// A KEK that is named by its place: what lies there is another matter.
struct InPlace(LocalKek, KekId);

impl KekProvider for InPlace {
    fn id(&self) -> &KekId {
        &self.1
    }

    fn wrap<'a>(
        &'a self,
        data_key: &'a DataKey,
        context: &'a [u8],
        nonce: WrapNonce,
    ) -> KekFuture<'a, Vec<u8>> {
        self.0.wrap(data_key, context, nonce)
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KekFuture<'a, DataKey> {
        self.0.unwrap(wrapped, context)
    }
}

#[tokio::test]
async fn of_several_keys_in_one_place_one_is_the_kek_and_no_other_seals() {
    let space = space().await;
    let vaults: Vec<_> = (1..=8)
        .map(|number| {
            let id = "token/kek-1".parse().expect("an id");
            let kek = InPlace(LocalKek::new(&[number; 32]), id);
            let keyring = Keyring::new(Arc::new(kek), Vec::new()).expect("one");
            Vault::new(&space.store, Arc::new(keyring))
        })
        .collect();
    let looks = vaults.iter().map(|vault| vault.keks_not_at_hand(AT_ONCE));
    let looks = futures_util::future::try_join_all(looks).await;
    let looks = looks.expect("answers");
    let right: Vec<_> = (0..8).filter(|index| looks[*index].is_empty()).collect();
    assert_eq!(right.len(), 1, "{looks:?}");
    let right = right[0];
    for (index, vault) in vaults.iter().enumerate() {
        let number = u8::try_from(index).expect("few");
        if index == right {
            store_secret(&space, vault, number).await.expect("stored");
        } else {
            let (name, secret) = (name(number), secret(number));
            let refused = vault.insert(&name, &secret, &mut SystemRng).await;
            assert!(refused.is_err(), "{index}");
            let why = &looks[index][0];
            assert_eq!(why.kek, "token/kek-1");
            assert!(why.why.contains("another key of the same name"), "{why}");
        }
    }
    opens(&vaults[right], u8::try_from(right).expect("few")).await;
}
