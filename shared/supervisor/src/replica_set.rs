//! Three mongods on loopback as one replica set.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::future::{select_all, try_join_all};

use crate::error::SupervisorError;
use crate::members::Members;
use crate::mongod::{Mongod, MongodBinary, MongodOptions, SET_NAME};
use crate::topology;

/// How long a member may take to close its files.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How often a start is tried with other ports, when another process takes one in between.
const ATTEMPTS: usize = 3;

/// A three-member replica set, running. Dropping it sends SIGTERM to the members.
#[derive(Debug)]
pub struct ReplicaSet {
    directory: PathBuf,
    owner: PathBuf,
    binary: MongodBinary,
    options: MongodOptions,
    members: Members,
    mongods: Vec<Mongod>,
}

impl ReplicaSet {
    /// Starts the members with what data there is in `directory`, and waits until a majority has taken a write.
    ///
    /// `owner` is the canonical path of the data directory whose lock the caller holds; processes that an earlier run
    /// left there have been stopped ([`stop_leftovers`](crate::stop_leftovers)).
    pub async fn start(
        binary: MongodBinary,
        options: MongodOptions,
        directory: &Path,
        owner: &Path,
    ) -> Result<Self, SupervisorError> {
        std::fs::create_dir_all(directory).map_err(SupervisorError::file("create", directory))?;
        let mut set = Self {
            directory: directory.to_owned(),
            owner: owner.to_owned(),
            members: Members::choose(directory)?,
            binary,
            options,
            mongods: Vec::new(),
        };
        set.start_members().await?;
        set.unless_one_dies(topology::converge(&set.members))
            .await?;
        set.wait_until_writable().await?;
        Ok(set)
    }

    /// Starts the members, on other ports if one of theirs is taken by another process at this very moment.
    async fn start_members(&mut self) -> Result<(), SupervisorError> {
        let mut attempt = 1;
        loop {
            match self.try_members().await {
                Ok(mongods) => {
                    self.mongods = mongods;
                    return self.members.record(&self.directory);
                }
                Err(error) => {
                    let chosen = Members::choose(&self.directory)?;
                    if self.members.all_free() || attempt == ATTEMPTS {
                        return Err(error);
                    }
                    self.members = chosen;
                    attempt += 1;
                }
            }
        }
    }

    /// Starts all at once; if one fails, the others are stopped before this returns.
    async fn try_members(&self) -> Result<Vec<Mongod>, SupervisorError> {
        let mongods = (0..)
            .zip(self.members.ports)
            .map(|(index, port)| self.mongod(index, port))
            .collect::<Result<Vec<_>, _>>()?;
        let listening = try_join_all(mongods.iter().map(Mongod::wait_until_listening)).await;
        if let Err(error) = listening {
            for mongod in &mongods {
                mongod.process().stop(STOP_WITHIN).await?;
            }
            return Err(error);
        }
        Ok(mongods)
    }

    fn mongod(&self, index: u32, port: u16) -> Result<Mongod, SupervisorError> {
        Mongod::start(
            &self.binary,
            &self.options,
            (index, port),
            &self.directory_of(index),
            &self.owner,
        )
    }

    fn directory_of(&self, index: u32) -> PathBuf {
        self.directory.join(index.to_string())
    }

    /// The connection string. It names the members and the set; concerns are the client's to set.
    pub fn uri(&self) -> String {
        let hosts = self.members.hosts().join(",");
        format!("mongodb://{hosts}/?replicaSet={SET_NAME}")
    }

    /// The members, by index.
    pub fn members(&self) -> &[Mongod] {
        &self.mongods
    }

    /// The member of this index.
    pub fn member_at(&self, index: u32) -> Result<&Mongod, SupervisorError> {
        self.mongods
            .iter()
            .find(|mongod| mongod.index() == index)
            .ok_or_else(|| no_such_member(index))
    }

    /// The index of the primary, if there is one.
    pub async fn primary(&self) -> Option<u32> {
        let place = topology::primary(&self.members).await?;
        self.mongods.get(place).map(Mongod::index)
    }

    /// Waits until a majority takes a write, for a minute at most.
    pub async fn wait_until_writable(&self) -> Result<(), SupervisorError> {
        let uri = self.uri();
        let writable = async {
            topology::wait_until_writable(&uri)
                .await
                .map_err(|last_answer| self.not_writable(last_answer))
        };
        self.unless_one_dies(writable).await
    }

    /// Waits until each member is the primary or a secondary, for a minute at most.
    pub async fn wait_until_healthy(&self) -> Result<(), SupervisorError> {
        let healthy = async {
            topology::wait_until_healthy(&self.members)
                .await
                .map_err(|last_answer| self.not_writable(last_answer))
        };
        self.unless_one_dies(healthy).await
    }

    fn not_writable(&self, last_answer: String) -> SupervisorError {
        SupervisorError::NotWritable {
            within: topology::WRITABLE_WITHIN,
            last_answer,
            logs: self.directory.clone(),
        }
    }

    /// Ends the waiting if a member that runs now ends: the reason is in its log, not in a timeout. Members that have
    /// ended already are known to have, and do not count.
    async fn unless_one_dies<T>(
        &self,
        step: impl Future<Output = Result<T, SupervisorError>>,
    ) -> Result<T, SupervisorError> {
        tokio::select! {
            done = step => done,
            (index, status) = self.next_exit() => Err(self.member_at(index)?.died(status)),
        }
    }

    /// Waits for the next member that ends, and gives its index. Never, if none is running.
    pub async fn next_exit(&self) -> (u32, ExitStatus) {
        let running: Vec<_> = self
            .mongods
            .iter()
            .filter(|mongod| mongod.process().exit_status().is_none())
            .map(|mongod| Box::pin(async { (mongod.index(), mongod.process().wait().await) }))
            .collect();
        if running.is_empty() {
            return std::future::pending().await;
        }
        select_all(running).await.0
    }

    /// Starts a member again on its port and data, stopping it first if it runs; waits until it listens. It may still
    /// have to catch up: [`wait_until_healthy`](Self::wait_until_healthy).
    pub async fn restart(&mut self, index: u32) -> Result<(), SupervisorError> {
        let place = self
            .mongods
            .iter()
            .position(|mongod| mongod.index() == index)
            .ok_or_else(|| no_such_member(index))?;
        self.mongods[place].process().stop(STOP_WITHIN).await?;
        let restarted = self.mongod(index, self.mongods[place].port())?;
        restarted.wait_until_listening().await?;
        self.mongods[place] = restarted;
        Ok(())
    }

    /// Stops all members cleanly, the primary last, so that no election is held on the way down. Returns the indexes
    /// of those that had to be killed.
    pub async fn stop(&self) -> Result<Vec<u32>, SupervisorError> {
        let primary = self.primary().await;
        let (last, first): (Vec<_>, Vec<_>) = self
            .mongods
            .iter()
            .partition(|mongod| Some(mongod.index()) == primary);
        let mut forced = Vec::new();
        for group in [first, last] {
            let stops = group.into_iter().map(|mongod| async {
                let stopped = mongod.process().stop(STOP_WITHIN).await?;
                Ok((mongod.index(), stopped.forced))
            });
            let stopped = try_join_all(stops).await?;
            forced.extend(
                stopped
                    .into_iter()
                    .filter(|(_, forced)| *forced)
                    .map(|(index, _)| index),
            );
        }
        Ok(forced)
    }
}

fn no_such_member(index: u32) -> SupervisorError {
    SupervisorError::NoSuchProcess {
        service: "mongod".to_owned(),
        index,
    }
}
