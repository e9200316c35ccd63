//! The cluster: a locked data directory, the replica set and the services.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use futures_util::future::{select_all, try_join_all};
use nix::sys::signal::Signal;

use crate::error::SupervisorError;
use crate::leftovers::stop_leftovers;
use crate::lock::DataLock;
use crate::manifest::{Endpoints, Manifest, ProcessEntry};
use crate::mongod::{MongodBinary, MongodOptions};
use crate::process::Process;
use crate::replica_set::{self, ReplicaSet};
use crate::service::{self, Service, ServiceSpec};

/// The kind that mongods have among the processes.
const MONGOD: &str = "mongod";

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Mongo {
    /// Three mongods of the cluster's own.
    Own(MongodBinary, MongodOptions),
    /// A replica set that someone else runs.
    External(String),
}

/// A process that ended.
#[derive(Debug)]
pub struct Exited {
    /// Its kind.
    pub service: String,
    /// Which of its kind.
    pub index: u32,
    /// How it ended.
    pub status: ExitStatus,
}

/// A running cluster. Dropping it sends SIGTERM to all of its processes and does not wait: what is then still closing
/// its files is waited for by the next start.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they are dropped.
    services: Vec<Service>,
    replica_set: Option<ReplicaSet>,
    mongo_uri: String,
    endpoints: Option<Endpoints>,
    lock: DataLock,
}

impl Cluster {
    /// Takes the data directory, stops what an earlier run left there, and starts the database (or takes the external
    /// one as it is). On return, a majority takes writes.
    pub async fn open(directory: &Path, mongo: Mongo) -> Result<Self, SupervisorError> {
        let lock = DataLock::take(directory)?;
        stop_leftovers(lock.directory(), replica_set::STOP_WITHIN).await?;
        Manifest::remove(lock.directory())?;
        let (replica_set, mongo_uri) = match mongo {
            Mongo::External(uri) => (None, uri),
            Mongo::Own(binary, options) => {
                let mongo = lock.directory().join("mongo");
                let set = ReplicaSet::start(binary, options, &mongo, lock.directory()).await?;
                let uri = set.uri();
                (Some(set), uri)
            }
        };
        Ok(Self {
            services: Vec::new(),
            replica_set,
            mongo_uri,
            endpoints: None,
            lock,
        })
    }

    /// The data directory, canonical.
    pub fn directory(&self) -> &Path {
        self.lock.directory()
    }

    /// The database's connection string.
    pub fn mongo_uri(&self) -> &str {
        &self.mongo_uri
    }

    /// The database's processes, if they are the cluster's own.
    pub fn replica_set(&self) -> Option<&ReplicaSet> {
        self.replica_set.as_ref()
    }

    /// The services, in the order of their start.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Starts services at once and waits until each is ready. If one is not, all of these are stopped again.
    pub async fn start_services(&mut self, specs: Vec<ServiceSpec>) -> Result<(), SupervisorError> {
        let mut started = Vec::new();
        for spec in specs {
            started.push(Service::start(spec, self.directory())?);
        }
        if let Err(error) = try_join_all(started.iter().map(Service::wait_until_ready)).await {
            stop_all(started.iter()).await?;
            return Err(error);
        }
        self.services.extend(started);
        self.rewrite()
    }

    /// Writes `cluster.json`, and keeps it right from now on. Returns its path.
    pub fn publish(&mut self, endpoints: Endpoints) -> Result<PathBuf, SupervisorError> {
        self.endpoints = Some(endpoints);
        self.rewrite()?;
        Ok(Manifest::path_in(self.directory()))
    }

    /// Stops a process if it runs, and starts it again from the same specification; returns when it is ready (a
    /// mongod: when it listens).
    pub async fn restart(&mut self, service: &str, index: u32) -> Result<(), SupervisorError> {
        if service == MONGOD {
            match &mut self.replica_set {
                Some(set) => set.restart(index).await?,
                None => return Err(no_such(service, index)),
            }
            return self.rewrite();
        }
        let spec = self.find(service, index)?.spec().clone();
        self.replace(spec).await
    }

    /// Stops the service of the same kind and index, and starts this one in its place: another program, other settings.
    pub async fn replace(&mut self, spec: ServiceSpec) -> Result<(), SupervisorError> {
        let place = self
            .services
            .iter()
            .position(|running| running.is(&spec.service, spec.index))
            .ok_or_else(|| no_such(&spec.service, spec.index))?;
        self.services[place]
            .process()
            .stop(service::STOP_WITHIN)
            .await?;
        let started = Service::start(spec, self.directory())?;
        started.wait_until_ready().await?;
        self.services[place] = started;
        self.rewrite()
    }

    /// The process of this kind and index: `mongod`, or a service.
    pub fn process(&self, service: &str, index: u32) -> Result<&Process, SupervisorError> {
        if service == MONGOD {
            let set = self
                .replica_set
                .as_ref()
                .ok_or_else(|| no_such(service, index))?;
            return set.member_at(index).map(crate::mongod::Mongod::process);
        }
        self.find(service, index).map(Service::process)
    }

    /// Signals a process: `SIGKILL`, `SIGSTOP`, `SIGCONT`, ...
    pub fn signal(&self, service: &str, index: u32, signal: Signal) -> Result<(), SupervisorError> {
        self.process(service, index)?.signal(signal)
    }

    fn find(&self, service: &str, index: u32) -> Result<&Service, SupervisorError> {
        self.services
            .iter()
            .find(|running| running.is(service, index))
            .ok_or_else(|| no_such(service, index))
    }

    /// Waits for the next process that ends. Whether to [`restart`](Self::restart) it is the caller's decision; one
    /// that has ended and was not restarted is not told of again while others run on. Never, if none runs.
    pub async fn next_exit(&self) -> Exited {
        tokio::select! {
            exited = self.next_service_exit() => exited,
            exited = self.next_mongod_exit() => exited,
        }
    }

    async fn next_service_exit(&self) -> Exited {
        let running: Vec<_> = self
            .services
            .iter()
            .filter(|service| service.process().exit_status().is_none())
            .map(|service| {
                Box::pin(async {
                    Exited {
                        service: service.spec().service.clone(),
                        index: service.spec().index,
                        status: service.process().wait().await,
                    }
                })
            })
            .collect();
        if running.is_empty() {
            return std::future::pending().await;
        }
        select_all(running).await.0
    }

    async fn next_mongod_exit(&self) -> Exited {
        let Some(set) = &self.replica_set else {
            return std::future::pending().await;
        };
        let (index, status) = set.next_exit().await;
        Exited {
            service: MONGOD.to_owned(),
            index,
            status,
        }
    }

    /// Stops everything and waits for it: the services in the reverse order of their start, kind by kind, then the
    /// mongods, the primary last. Returns the names of those that had to be killed.
    ///
    /// Started as workers, schedulers, APIs, the APIs go first, and the workers still finish what their last requests
    /// wait for.
    pub async fn stop(self) -> Result<Vec<String>, SupervisorError> {
        Manifest::remove(self.directory())?;
        let mut forced = Vec::new();
        let mut rest = self.services.as_slice();
        while let Some(last) = rest.last() {
            let kind = &last.spec().service;
            let begin = rest
                .iter()
                .rposition(|service| service.spec().service != *kind)
                .map_or(0, |before| before + 1);
            forced.extend(stop_all(rest[begin..].iter()).await?);
            rest = &rest[..begin];
        }
        if let Some(set) = &self.replica_set {
            forced.extend(
                set.stop()
                    .await?
                    .iter()
                    .map(|index| format!("{MONGOD} {index}")),
            );
        }
        Ok(forced)
    }

    fn rewrite(&self) -> Result<(), SupervisorError> {
        let Some(endpoints) = &self.endpoints else {
            return Ok(());
        };
        let manifest = Manifest {
            endpoints: endpoints.clone(),
            mongo_uri: self.mongo_uri.clone(),
            processes: self.entries(),
        };
        manifest.write(self.directory())
    }

    fn entries(&self) -> Vec<ProcessEntry> {
        let services = self.services.iter().map(|service| ProcessEntry {
            service: service.spec().service.clone(),
            index: service.spec().index,
            pid: service.process().pid(),
            management: format!("http://{}", service.spec().management),
        });
        let mongods = self.replica_set.iter().flat_map(|set| {
            set.members().iter().map(|mongod| ProcessEntry {
                service: MONGOD.to_owned(),
                index: mongod.index(),
                pid: mongod.process().pid(),
                management: format!("mongodb://127.0.0.1:{}", mongod.port()),
            })
        });
        services.chain(mongods).collect()
    }
}

/// Stops services at once; returns the names of those that had to be killed.
async fn stop_all(
    services: impl Iterator<Item = &Service>,
) -> Result<Vec<String>, SupervisorError> {
    let stops = services.map(|service| async {
        let process = service.process();
        let stopped = process.stop(service::STOP_WITHIN).await?;
        Ok(stopped.forced.then(|| process.name().to_owned()))
    });
    Ok(try_join_all(stops).await?.into_iter().flatten().collect())
}

fn no_such(service: &str, index: u32) -> SupervisorError {
    SupervisorError::NoSuchProcess {
        service: service.to_owned(),
        index,
    }
}
