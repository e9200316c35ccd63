//! `cluster.json`: where everything of a running cluster is, for people, tests and drills.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::SupervisorError;
use crate::members::write_atomically;

/// How to reach the cluster's API, and what to trust and to open with; known to who started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The URL of the ACME directory.
    pub directory: String,
    /// The base URL of the API.
    pub api: String,
    /// The root certificate, PEM.
    pub root: PathBuf,
    /// The database.
    pub database: String,
    /// The key encryption key.
    pub kek_file: PathBuf,
    /// A token of an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_token_file: Option<PathBuf>,
}

/// A process of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEntry {
    /// Its kind: `api`, `worker`, `scheduler`, `mongod`.
    pub service: String,
    /// Which of its kind, from 0.
    pub index: u32,
    /// Its pid.
    pub pid: i32,
    /// Where it answers probes (`http://`), or a mongod its clients (`mongodb://`).
    pub management: String,
}

/// The content of `cluster.json`. It is there as long as the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// How to reach it.
    #[serde(flatten)]
    pub endpoints: Endpoints,
    /// The replica set's connection string.
    pub mongo_uri: String,
    /// The processes.
    pub processes: Vec<ProcessEntry>,
}

impl Manifest {
    /// Its place in a data directory.
    pub fn path_in(directory: &Path) -> PathBuf {
        directory.join("cluster.json")
    }

    /// Reads that of the cluster in the data directory.
    pub fn read(directory: &Path) -> Result<Self, SupervisorError> {
        let path = Self::path_in(directory);
        let text = std::fs::read(&path).map_err(SupervisorError::file("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| SupervisorError::Damaged {
            path,
            source,
            advice: "restart the cluster, which writes it anew",
        })
    }

    /// Writes it, as a whole or not at all.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), SupervisorError> {
        write_atomically(&Self::path_in(directory), self)
    }

    /// Removes it, if it is there.
    pub(crate) fn remove(directory: &Path) -> Result<(), SupervisorError> {
        let path = Self::path_in(directory);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(SupervisorError::file("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}
