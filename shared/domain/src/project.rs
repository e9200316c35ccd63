//! Projects: what belongs to whom (FLT-1).

use crate::clock::Timestamp;
use crate::names::ProjectName;

/// A project: it has authorities, zones, hosts and certificates of its own, and who may do something in one may do nothing in
/// another for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// What it is, for people.
    pub title: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

impl Default for ProjectName {
    /// The project that is there from the beginning, and of whatever says nothing else.
    fn default() -> Self {
        Self::DEFAULT.parse().unwrap_or_else(|_| unreachable!())
    }
}

impl ProjectName {
    const DEFAULT: &str = "default";

    /// Whether it is the project that is there from the beginning.
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}
