//! The cluster, an API that proves names, and a look at the documents.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use bson::Document;
use certfleet_domain::{Clock as _, Identifier, Managed, ManagedId, SystemClock, SystemRng};
use certfleet_queue_load::ground::connect;
use certfleet_storage::{Store, Unit};
use certfleet_system_tests::{Cluster, Outsider, Plan};
use mongodb::{Client, Collection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Where the authority finds what the fleet shows.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 99, 0, 10);
/// So many are added together.
const TOGETHER: usize = 200;
/// Between two looks at how far it is.
pub const LOOK: Duration = Duration::from_secs(1);

/// The cluster, an API that proves names, and a look at the documents.
pub struct Ground {
    /// The cluster.
    pub cluster: Cluster,
    /// Its database.
    pub store: Store,
    /// The same, without the product's own reading of it.
    pub client: Client,
    /// For whatever is to lie somewhere.
    pub home: TempDir,
    api: Outsider,
}

impl Ground {
    /// Starts it.
    pub async fn prepare() -> Result<Self> {
        let cluster = Cluster::start(Plan::new("fleet-load")).await?;
        let home = tempfile::tempdir()?;
        let api = Outsider::proving(&cluster, ADDRESS, home.path()).await?;
        cluster.answers().set_default_ipv4(Some(ADDRESS));
        Ok(Self {
            store: connect(cluster.mongo_uri(), cluster.database_name()).await?,
            client: Client::with_uri_str(cluster.mongo_uri()).await?,
            cluster,
            home,
            api,
        })
    }

    /// Stops it.
    pub async fn end(mut self) -> Result<()> {
        self.api.end().await?;
        self.cluster.stop().await?;
        Ok(())
    }

    /// A collection of the cluster's.
    pub fn collection(&self, name: &str) -> Collection<Document> {
        self.client
            .database(self.cluster.database_name())
            .collection(name)
    }

    /// Adds managed certificates for these names, one for each, with what more belongs to each.
    pub async fn add(
        &self,
        names: &[String],
        more: impl Fn(&Managed, &Identifier) -> Result<Unit>,
    ) -> Result<Vec<ManagedId>> {
        let upstream: certfleet_domain::UpstreamName = "own".parse()?;
        let mut ids = Vec::new();
        for some in names.chunks(TOGETHER) {
            let mut unit = Unit::default();
            for name in some {
                let name: Identifier = name.parse()?;
                let id = ManagedId::generate(&SystemClock, &mut SystemRng);
                let now = SystemClock.now();
                let managed = Managed::new(id, vec![name.clone()], vec![upstream.clone()], now);
                unit = unit
                    .and(self.store.fleet.insert(&managed)?)
                    .and(more(&managed, &name)?);
                ids.push(id);
            }
            self.store.commit(unit).await?;
        }
        Ok(ids)
    }

    /// Looks at how many documents of a collection match, until there are so many; gives how long that took.
    pub async fn until(&self, collection: &str, filter: Document, count: u64) -> Result<Duration> {
        let began = Instant::now();
        let documents = self.collection(collection);
        loop {
            let found = documents.count_documents(filter.clone()).await?;
            if found >= count {
                return Ok(began.elapsed());
            }
            let seconds = began.elapsed().as_secs();
            if seconds > 0 && seconds.is_multiple_of(30) {
                crate::say(&format!("{found} of {count} after {seconds} s"))?;
            }
            sleep(LOOK).await;
        }
    }

    /// The most memory that a process of this kind has had resident, in MiB.
    pub fn most_memory(&self, service: &str) -> Result<u64> {
        let processes = self.cluster.processes()?;
        let of = processes
            .iter()
            .filter(|process| process.service == service);
        let most = of.filter_map(|process| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        Ok(most.max().unwrap_or_default() / 1024)
    }
}
