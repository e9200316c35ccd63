//! The replica set, and jobs in its database.

use std::time::Duration;

use anyhow::Result;
use certfleet_domain::{OrderId, ServerId, SystemClock, SystemRng};
use certfleet_jobs::Job;
use certfleet_migrations::migrate;
use certfleet_storage::{ConnectSettings, Metrics, Store, Unit};
use certfleet_supervisor::{Cluster, Mongo, MongodBinary, MongodOptions};
use prometheus::Registry;
use tempfile::TempDir;

/// How many jobs are enqueued together.
const TOGETHER: usize = 250;

/// A replica set of three.
pub struct Ground {
    cluster: Cluster,
    directory: TempDir,
    databases: u32,
}

/// A database with the schema in place and no jobs in it.
pub struct Space {
    /// The connection string.
    pub uri: String,
    /// Its name.
    pub database: String,
    /// Connections to it.
    pub store: Store,
}

/// A store with connections of its own.
pub async fn connect(uri: &str, database: &str) -> Result<Store> {
    let settings = ConnectSettings {
        uri: uri.to_owned(),
        database: database.to_owned(),
        max_pool_size: 8,
        connect_timeout: Duration::from_secs(5),
        server_selection_timeout: Duration::from_secs(10),
        heartbeat: Duration::from_secs(10),
        app_name: "queue-load".to_owned(),
    };
    Ok(Store::connect(&settings, Metrics::register(&Registry::new())?).await?)
}

impl Ground {
    /// Starts it, does the work on it, and stops it: when the work is done, or is interrupted.
    pub async fn lend(work: impl AsyncFnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut ground = Self::prepare().await?;
        let outcome = tokio::select! {
            outcome = work(&mut ground) => outcome,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                Err(anyhow::anyhow!("interrupted"))
            }
        };
        ground.end().await?;
        outcome
    }

    /// Starts it, in a temporary directory.
    async fn prepare() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("certfleet-queue-")
            .tempdir()?;
        let mongod = MongodBinary::find(None, ".certfleet/tools".as_ref()).await?;
        let own = Mongo::Own(mongod, MongodOptions::default());
        let cluster = Cluster::open(directory.path(), own).await?;
        Ok(Self {
            cluster,
            directory,
            databases: 0,
        })
    }

    /// A database of its own for each measurement.
    pub async fn space(&mut self) -> Result<Space> {
        self.databases += 1;
        let database = format!("queue_load_{}", self.databases);
        let uri = self.cluster.mongo_uri().to_owned();
        let store = connect(&uri, &database).await?;
        migrate(&store, ServerId::generate(&SystemClock, &mut SystemRng)).await?;
        Ok(Space {
            uri,
            database,
            store,
        })
    }

    /// Stops it, and removes its data.
    async fn end(self) -> Result<()> {
        self.cluster.stop().await?;
        Ok(self.directory.close()?)
    }
}

impl Space {
    /// Enqueues so many jobs.
    pub async fn enqueue(&self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let some = left.min(TOGETHER);
            let mut unit = Unit::default();
            for _ in 0..some {
                unit = unit.and(self.store.jobs.enqueue(&job())?);
            }
            self.store.commit(unit).await?;
            left -= some;
        }
        Ok(())
    }
}

/// A job that nobody else has.
pub fn job() -> Job {
    Job::SignCertificate {
        order: OrderId::generate(&SystemClock, &mut SystemRng),
        authority: None,
    }
}
