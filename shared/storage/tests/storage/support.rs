//! A database of its own for each test, and waiting.

use std::sync::Arc;
use std::time::Duration;

use certfleet_audit::{Act, Actor, Event, Sender};
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_secrets::{Keyring, LocalKek, Place, Sealed, Secret};
use certfleet_storage::{ConnectSettings, Metrics, Store};
use certfleet_testkit::TestDatabase;
use mongodb::bson::{Document, doc};
use mongodb::options::UpdateModifications;
use prometheus::Registry;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server has one such point for all of its clients.
static POINT: Mutex<()> = Mutex::const_new(());

/// A database of its own, with the schema in place.
pub struct Space {
    database: TestDatabase,
    /// The first process's store.
    pub store: Store,
    registry: Registry,
}

/// A new database.
pub async fn space() -> Space {
    let database = certfleet_testkit::database().await;
    let (store, registry) = connect(&database).await;
    certfleet_migrations::migrate(&store, server_id())
        .await
        .expect("the schema is put in place");
    Space {
        database,
        store,
        registry,
    }
}

async fn connect(database: &TestDatabase) -> (Store, Registry) {
    let settings = ConnectSettings {
        uri: database.uri().to_owned(),
        database: database.name().to_owned(),
        max_pool_size: 20,
        connect_timeout: Duration::from_secs(5),
        server_selection_timeout: Duration::from_secs(10),
        heartbeat: Duration::from_secs(1),
        // Of this test alone, so that faults can be.
        app_name: database.name().to_owned(),
    };
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).expect("a registry of its own");
    let store = Store::connect(&settings, metrics).await.expect("a store");
    (store, registry)
}

impl Space {
    /// Another process's store: it shares nothing with the first but the database.
    pub async fn another(&self) -> Store {
        connect(&self.database).await.0
    }

    /// Has the server fail the next `times` of these commands of this test's stores while `work` goes on, and makes sure that
    /// it did. Of commands that come at the same moment it may fail one more than it should.
    pub async fn under<T>(
        &self,
        commands: &[&str],
        fault: Document,
        times: i64,
        work: impl Future<Output = T>,
    ) -> T {
        let _alone = POINT.lock().await;
        let before = self.fail(commands, fault, times).await;
        let done = work.await;
        self.ensure_failed(commands, before + times).await;
        done
    }

    /// Has the server stand still for a second at the next such command, which is one of `late`'s, and only then begins with
    /// `meanwhile`.
    pub async fn overtaken<L, M>(
        &self,
        command: &str,
        late: impl Future<Output = L>,
        meanwhile: impl Future<Output = M>,
    ) -> (L, M) {
        let _alone = POINT.lock().await;
        let still = doc! { "blockConnection": true, "blockTimeMS": 1_000 };
        let entered = self.fail(&[command], still, 1).await + 1;
        let meanwhile = async {
            let wait = doc! {
                "waitForFailPoint": "failCommand", "timesEntered": entered, "maxTimeMS": 30_000,
            };
            let admin = self.database.client().database("admin");
            admin.run_command(wait).await.expect("it comes by");
            meanwhile.await
        };
        let done = tokio::join!(late, meanwhile);
        self.ensure_failed(&[command], entered).await;
        done
    }

    async fn fail(&self, commands: &[&str], fault: Document, times: i64) -> i64 {
        let mut data = doc! { "failCommands": commands, "appName": self.database.name() };
        data.extend(fault);
        self.point(doc! { "mode": { "times": times }, "data": data })
            .await
    }

    async fn ensure_failed(&self, commands: &[&str], due: i64) {
        let count = self.point(doc! { "mode": "off" }).await;
        assert_eq!(count, due, "not so often did {commands:?} come by");
    }

    /// Sets the point; gives how often it had the server fail until now.
    async fn point(&self, how: Document) -> i64 {
        let mut command = doc! { "configureFailPoint": "failCommand" };
        command.extend(how);
        let admin = self.database.client().database("admin");
        let reply = admin.run_command(command).await;
        let reply = reply.expect("a replica set with enableTestCommands, as testkit starts it");
        let count = reply.get("count").expect("a count");
        count
            .as_i64()
            .or(count.as_i32().map(i64::from))
            .expect("a number")
    }

    /// A collection, as it lies.
    pub fn raw(&self, collection: &str) -> mongodb::Collection<Document> {
        self.store.database().collection(collection)
    }

    /// Changes documents behind the store's back. Gives how many.
    pub async fn alter(
        &self,
        collection: &str,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> u64 {
        let altered = self.raw(collection).update_many(filter, update).await;
        altered.expect("written").modified_count
    }

    /// The value of a counter of the first store, over all of its labels that include this one.
    pub fn counter(&self, name: &str, label: Option<&str>) -> f64 {
        self.registry
            .gather()
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(prometheus::proto::MetricFamily::get_metric)
            .filter(|metric| {
                label.is_none_or(|due| metric.get_label().iter().any(|pair| pair.value() == due))
            })
            .map(|metric| metric.get_counter().get_value())
            .sum()
    }
}

/// A new process's id.
pub fn server_id() -> ServerId {
    ServerId::generate(&SystemClock, &mut SystemRng)
}

/// An act that is put on record; no two are the same.
pub fn event() -> Event {
    let sender = Sender {
        server: server_id(),
        actor: Actor::Operator("a test".to_owned()),
        address: None,
        request: None,
    };
    Event::new(&sender, Act::RetryJob, "job/of a test", &SystemClock)
}

/// Asks again and again until there is an answer; what is waited for is the database's clock.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Something sealed, which opens nowhere.
pub async fn sealed(what: &str) -> Sealed {
    let keyring = Keyring::new(Arc::new(LocalKek::new(&[7; 32])), Vec::new()).expect("one");
    let place = Place::new("", "", "", "");
    let secret = Secret::new(what.as_bytes().to_vec());
    let sealing = keyring.seal(&place, &secret, &mut SystemRng);
    sealing.await.expect("sealed")
}
