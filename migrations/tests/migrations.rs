//! The runner against a real replica set.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::time::Duration;

use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_migrations::{MigrateError, SchemaError, migrate, require_compatible, status};
use certfleet_storage::collections::{ALL, MIGRATIONS};
use certfleet_storage::{ConnectSettings, Metrics, Store};
use certfleet_testkit::TestDatabase;
use mongodb::bson::{DateTime, Document, doc};
use prometheus::Registry;

struct Space {
    /// Dropped last, and the database with it.
    _database: TestDatabase,
    store: Store,
}

async fn space() -> Space {
    let database = certfleet_testkit::database().await;
    let settings = ConnectSettings {
        uri: database.uri().to_owned(),
        database: database.name().to_owned(),
        max_pool_size: 10,
        connect_timeout: Duration::from_secs(5),
        server_selection_timeout: Duration::from_secs(10),
        heartbeat: Duration::from_secs(1),
        app_name: "migrations-tests".to_owned(),
    };
    let metrics = Metrics::register(&Registry::new()).expect("a registry of its own");
    let store = Store::connect(&settings, metrics).await.expect("a store");
    Space {
        _database: database,
        store,
    }
}

impl Space {
    async fn migrate(&self) -> Result<Vec<i32>, MigrateError> {
        let me = ServerId::generate(&SystemClock, &mut SystemRng);
        let applied = migrate(&self.store, me).await?;
        Ok(applied.iter().map(|step| step.number).collect())
    }

    async fn refusal(&self) -> String {
        let refused = require_compatible(self.store.database()).await;
        let text = refused.expect_err("it is refused").to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }

    fn ledger(&self) -> mongodb::Collection<Document> {
        self.store.database().collection(MIGRATIONS)
    }
}

#[tokio::test]
async fn a_new_database_is_refused_until_it_is_migrated() {
    let space = space().await;
    let text = space.refusal().await;
    assert!(text.contains("`certfleet db migrate`"), "{text}");
    let before = status(space.store.database()).await.expect("a status");
    assert!(before.applied.is_empty());
    assert!(!before.pending.is_empty());

    let applied = space.migrate().await.expect("migrated");
    let due: Vec<i32> = before.pending.iter().map(|step| step.number).collect();
    assert_eq!(applied, due);
    let after = status(space.store.database()).await.expect("a status");
    assert!(after.pending.is_empty(), "{after:?}");
    for (step, pending) in after.applied.iter().zip(&before.pending) {
        assert_eq!(
            (step.name.as_str(), &step.checksum),
            (pending.name, &pending.checksum)
        );
    }
    require_compatible(space.store.database())
        .await
        .expect("it will do");
    let names = space.store.database().list_collection_names().await;
    let names = names.expect("the collections");
    for collection in ALL {
        assert!(names.iter().any(|name| name == collection), "{collection}");
    }

    let applied = space.migrate().await.expect("nothing to do");
    assert!(applied.is_empty(), "{applied:?}");
    let again = status(space.store.database()).await.expect("a status");
    assert_eq!(again, after, "what is on record stays as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runners_one_does_the_work() {
    let space = space().await;
    let pending = status(space.store.database())
        .await
        .expect("a status")
        .pending;
    let (one, other) = tokio::join!(space.migrate(), space.migrate());
    let mut all = [one.expect("migrated"), other.expect("migrated")].concat();
    all.sort_unstable();
    let due: Vec<i32> = pending.iter().map(|step| step.number).collect();
    assert_eq!(all, due, "each step once");
}

#[tokio::test]
async fn a_runner_that_died_halfway_is_followed_by_the_next() {
    let space = space().await;
    space.migrate().await.expect("migrated");
    // As if it had died between the work and its record.
    space
        .ledger()
        .delete_many(doc! {})
        .await
        .expect("forgotten");
    let applied = space.migrate().await.expect("done again");
    assert!(!applied.is_empty());
}

#[tokio::test]
async fn an_unknown_newer_step_is_refused() {
    let space = space().await;
    space.migrate().await.expect("migrated");
    let newer =
        doc! { "_id": 999, "name": "moon", "checksum": "00", "applied_at": DateTime::now() };
    space.ledger().insert_one(newer).await.expect("written");
    let text = space.refusal().await;
    assert!(text.contains("999 (moon)"), "{text}");
    let status = status(space.store.database()).await.expect("a status");
    assert_eq!(status.unknown.len(), 1);
    let migrated = space.migrate().await;
    assert!(
        matches!(
            migrated,
            Err(MigrateError::Schema(SchemaError::Unknown {
                number: 999,
                ..
            }))
        ),
        "{migrated:?}"
    );
}

#[tokio::test]
async fn a_step_that_was_edited_after_it_was_applied_is_refused() {
    let space = space().await;
    space.migrate().await.expect("migrated");
    let edit = doc! { "$set": { "checksum": "another" } };
    let edited = space.ledger().update_one(doc! { "_id": 1 }, edit).await;
    assert_eq!(edited.expect("written").modified_count, 1);
    let text = space.refusal().await;
    assert!(text.contains("step 1 (collections)"), "{text}");
    let migrated = space.migrate().await;
    assert!(
        matches!(
            migrated,
            Err(MigrateError::Schema(SchemaError::Changed { number: 1, .. }))
        ),
        "{migrated:?}"
    );
}

#[tokio::test]
async fn a_corrupt_record_is_an_error_that_names_it() {
    let space = space().await;
    let record = doc! { "_id": 1, "name": "collections" };
    space.ledger().insert_one(record).await.expect("written");
    let text = space.refusal().await;
    assert!(text.contains("schema_migrations 1"), "{text}");
    assert!(text.contains("checksum"), "{text}");
}
