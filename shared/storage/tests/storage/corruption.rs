//! A document that does not parse is an error that says which and why.

use certfleet_domain::CertificateOrigin;
use certfleet_storage::collections::{
    ACCOUNTS, AUTHORITIES, AUTHORIZATIONS, CERTIFICATES, ORDERS, SECRETS,
};
use certfleet_storage::{StorageError, Store, Unit};
use mongodb::bson::{Document, doc};

use crate::entities::{account, authority, authorization, certificate, order};
use crate::support::{Space, sealed, space};

struct Broken {
    collection: &'static str,
    id: String,
    /// Laid over the whole document.
    damage: Document,
    /// The field that the error has to name.
    field: &'static str,
}

async fn plant(space: &Space, unit: Unit, broken: &Broken) {
    space.store.commit(unit).await.expect("written");
    let filter = doc! { "_id": &broken.id };
    let damage = broken.damage.clone();
    assert_eq!(space.alter(broken.collection, filter, damage).await, 1);
}

fn check<T: std::fmt::Debug>(read: Result<T, StorageError>, broken: &Broken) {
    match read {
        Err(StorageError::Corrupt(corrupt)) => {
            assert_eq!(corrupt.collection, broken.collection);
            assert_eq!(corrupt.id, broken.id);
            assert!(
                corrupt.why.contains(broken.field),
                "{} is not named: {corrupt}",
                broken.field
            );
        }
        other => panic!("{} {:?}: {other:?}", broken.collection, broken.damage),
    }
}

fn damages() -> Vec<(Document, &'static str)> {
    vec![
        (doc! { "$unset": { "version": "" } }, "version"),
        (doc! { "$set": { "version": "one" } }, "version"),
    ]
}

async fn each_damage<T: std::fmt::Debug>(
    space: &Space,
    collection: &'static str,
    more: Vec<(Document, &'static str)>,
    make: impl Fn(&Store) -> (String, Unit),
    read: impl AsyncFn(&Store, &str) -> Result<T, StorageError>,
) {
    for (damage, field) in damages().into_iter().chain(more) {
        let (id, unit) = make(&space.store);
        let broken = Broken {
            collection,
            id,
            damage,
            field,
        };
        plant(space, unit, &broken).await;
        check(read(&space.store, &broken.id).await, &broken);
        let stored = space.raw(collection);
        let removal = stored.delete_one(doc! { "_id": &broken.id });
        removal.await.expect("removed");
    }
}

#[tokio::test]
async fn each_entity_names_collection_id_and_field() {
    let space = space().await;
    let set = |field: &str, value: &str| doc! { "$set": { field: value } };

    each_damage(
        &space,
        ACCOUNTS,
        vec![
            (set("status", "asleep"), "status"),
            (set("created_at", "yesterday"), "created_at"),
            (doc! { "$set": { "contacts": [1] } }, "contacts"),
        ],
        |store| {
            let account = account();
            let unit = store.accounts.insert(&account).expect("a unit");
            (account.id.to_string(), unit)
        },
        async |store, id| store.accounts.find(id.parse().expect("an id")).await,
    )
    .await;
    each_damage(
        &space,
        ORDERS,
        vec![
            (set("state.status", "lost"), "state"),
            (set("account", "me"), "account"),
            (doc! { "$set": { "identifiers": ["-"] } }, "identifiers"),
        ],
        |store| {
            let order = order(account().id);
            let unit = store.orders.insert(&order).expect("a unit");
            (order.id.to_string(), unit)
        },
        async |store, id| store.orders.find(id.parse().expect("an id")).await,
    )
    .await;
    each_damage(
        &space,
        AUTHORIZATIONS,
        vec![
            (set("challenges.1.kind", "carrier-pigeon"), "challenges"),
            (set("identifier", "a b"), "identifier"),
        ],
        |store| {
            let authorization = authorization(account().id, "example.org");
            let unit = store.authorizations.insert(&authorization).expect("a unit");
            (authorization.id.to_string(), unit)
        },
        async |store, id| store.authorizations.find(id.parse().expect("an id")).await,
    )
    .await;
    each_damage(
        &space,
        CERTIFICATES,
        vec![
            (set("serial", "7"), "serial"),
            (set("state.csr", "text"), "state"),
            (set("order", &order(account().id).id.to_string()), "account"),
        ],
        |store| {
            let certificate = certificate(CertificateOrigin::Service);
            let unit = store.certificates.insert(&certificate).expect("a unit");
            (certificate.id.to_string(), unit)
        },
        async |store, id| store.certificates.find(id.parse().expect("an id")).await,
    )
    .await;
    each_damage(
        &space,
        AUTHORITIES,
        vec![
            (doc! { "$set": { "profiles": [] } }, "profiles"),
            (doc! { "$unset": { "issuer.root": "" } }, "issuer"),
        ],
        |store| {
            let authority = authority();
            let unit = store.authorities.insert(&authority).expect("a unit");
            (authority.name.to_string(), unit)
        },
        async |store, id| store.authorities.find(&id.parse().expect("a name")).await,
    )
    .await;
}

#[tokio::test]
async fn a_secret_that_is_no_octets_names_its_field() {
    let space = space().await;
    let broken = Broken {
        collection: SECRETS,
        id: "key".to_owned(),
        damage: doc! { "$set": { "sealed": "text" } },
        field: "sealed",
    };
    let unit = space.store.secrets.insert("key", &sealed("secret").await);
    plant(&space, unit, &broken).await;
    check(space.store.secrets.find("key").await, &broken);
}
