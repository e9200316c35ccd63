//! A fresh database for each test.

use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use bson::oid::ObjectId;
use mongodb::{Client, Database};

use crate::replica_set::mongo_uri;

/// A database of a test's own, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    uri: &'static str,
    name: String,
    client: Client,
}

/// A fresh, uniquely named database. Its client belongs to the runtime of the calling test.
pub async fn database() -> TestDatabase {
    let uri = mongo_uri().await;
    TestDatabase {
        uri,
        name: format!("test_{}", ObjectId::new().to_hex()),
        client: Client::with_uri_str(uri).await.unwrap(),
    }
}

impl TestDatabase {
    /// The connection string of the replica set.
    pub fn uri(&self) -> &str {
        self.uri
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A plain client of the driver, with its defaults.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The database, through that client.
    pub fn database(&self) -> Database {
        self.client.database(&self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (done, dropped) = mpsc::channel();
        let request = (std::mem::take(&mut self.name), done);
        // A database that stays, because the set is gone or hangs, is no failure of the test.
        if dropper(self.uri).send(request).is_ok() {
            let _ = dropped.recv_timeout(Duration::from_secs(10));
        }
    }
}

type Request = (String, mpsc::Sender<()>);

/// A thread with a client of its own: a test that ends cannot wait in its runtime.
fn dropper(uri: &'static str) -> &'static mpsc::Sender<Request> {
    static DROPPER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    DROPPER.get_or_init(|| {
        let (requests, queue) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let client = runtime.block_on(Client::with_uri_str(uri)).unwrap();
            for (name, done) in queue {
                let database = client.database(&name);
                let _ = runtime.block_on(async { database.drop().await });
                let _ = done.send(());
            }
        });
        requests
    })
}
