//! `state`: what a process keeps on its own disk.

use std::path::PathBuf;

use serde::Deserialize;

use super::section::{Complaint, Section, require};

/// What a process keeps on its own disk: who it is, and nothing that cannot be lost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// The directory. Each process has one of its own.
    pub dir: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/lib/certfleet"),
        }
    }
}

impl Section for State {
    const NAME: &'static str = "state";

    fn check(&self) -> Result<(), Complaint> {
        require(
            !self.dir.as_os_str().is_empty(),
            "dir",
            "a directory is due",
        )
    }
}
