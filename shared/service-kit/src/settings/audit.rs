//! `audit`: where the signed ends of the audit trail are published, and what a process keeps of it.

use std::path::PathBuf;

use serde::Deserialize;

use super::section::{Complaint, Section, require};

/// Where the signed ends of the audit trail are published, besides the log lines of workers, and what a process keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The file in which a worker keeps the last one.
    pub checkpoint_file: Option<PathBuf>,
    /// The file in which a process keeps its own acts, chained; each process has one of its own.
    pub file: Option<PathBuf>,
    /// Whether the API gives it out, at `/audit/checkpoint`.
    pub publish: bool,
}

impl Section for Audit {
    const NAME: &'static str = "audit";

    fn check(&self) -> Result<(), Complaint> {
        let named = |file: &PathBuf| file.file_name().is_some();
        let why = "a file's name is due";
        let (checkpoint, own) = (&self.checkpoint_file, &self.file);
        require(
            checkpoint.as_ref().is_none_or(named),
            "checkpoint_file",
            why,
        )?;
        require(own.as_ref().is_none_or(named), "file", why)
    }
}
