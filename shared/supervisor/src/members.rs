//! Which ports the members of the replica set have, from one start to the next.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::SupervisorError;
use crate::ports;

/// Three: the least that has a majority without one of them.
pub(crate) const MEMBERS: usize = 3;

/// The members' ports, by index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Members {
    pub(crate) ports: [u16; MEMBERS],
}

impl Members {
    /// The recorded ports, those that are taken by now replaced; on a first start, free ones. Not recorded yet.
    pub(crate) fn choose(directory: &Path) -> Result<Self, SupervisorError> {
        let Some(mut members) = Self::read(directory)? else {
            return Self::fresh();
        };
        for port in &mut members.ports {
            if !ports::is_free(*port) {
                let replacement = ports::pick_free_ports(1)?;
                tracing::warn!(
                    taken = *port,
                    instead = replacement[0],
                    "a mongod's port is taken by another process"
                );
                *port = replacement[0];
            }
        }
        Ok(members)
    }

    fn fresh() -> Result<Self, SupervisorError> {
        let ports = ports::pick_free_ports(MEMBERS)?
            .try_into()
            .map_err(|_| SupervisorError::NoFreePort)?;
        Ok(Self { ports })
    }

    fn read(directory: &Path) -> Result<Option<Self>, SupervisorError> {
        let path = file_in(directory);
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text)
                    .map(Some)
                    .map_err(|source| SupervisorError::Damaged {
                        path,
                        source,
                        advice: "remove it, and new ports are chosen",
                    })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SupervisorError::file("read", &path)(source)),
        }
    }

    /// Whether nothing listens on any of the ports at this moment.
    pub(crate) fn all_free(&self) -> bool {
        self.ports.iter().all(|port| ports::is_free(*port))
    }

    /// Records the ports for the next start.
    pub(crate) fn record(&self, directory: &Path) -> Result<(), SupervisorError> {
        write_atomically(&file_in(directory), self)
    }

    /// `127.0.0.1:port` of each.
    pub(crate) fn hosts(&self) -> [String; MEMBERS] {
        self.ports.map(|port| format!("127.0.0.1:{port}"))
    }
}

fn file_in(directory: &Path) -> PathBuf {
    directory.join("members.json")
}

/// Writes a file as a whole or not at all, readable for its owner only.
pub(crate) fn write_atomically(
    path: &Path,
    content: &impl Serialize,
) -> Result<(), SupervisorError> {
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        serde_json::to_writer_pretty(&mut file, content)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(SupervisorError::file("write", path))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn recorded_ports_are_kept_and_only_taken_ones_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let first = Members::choose(directory.path()).unwrap();
        first.record(directory.path()).unwrap();
        assert_eq!(Members::choose(directory.path()).unwrap(), first);
        let _stranger = TcpListener::bind(("127.0.0.1", first.ports[1])).unwrap();
        let second = Members::choose(directory.path()).unwrap();
        assert_eq!(second.ports[0], first.ports[0]);
        assert_ne!(second.ports[1], first.ports[1]);
        assert_eq!(second.ports[2], first.ports[2]);
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("members.json"), "{\"ports\":[1,2]}").unwrap();
        let refused = Members::choose(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("members.json"), "{refused}");
        assert_eq!(refused.lines().count(), 1);
    }
}
