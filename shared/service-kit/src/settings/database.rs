//! `database`: the replica set that holds all data.

use std::time::Duration;

use serde::Deserialize;

use super::section::{Complaint, Section, require};
use super::text::text;
use super::urls::MongoUri;

/// The replica set that holds all data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The connection string. Required. Shown without user, password and options.
    pub uri: MongoUri,
    /// The database's name.
    #[serde(default = "default::name")]
    pub name: String,
    /// The most connections this process opens to one member.
    #[serde(default = "default::max_pool_size")]
    pub max_pool_size: u32,
    /// The longest a connection may take to open.
    #[serde(deserialize_with = "text", default = "default::connect_timeout")]
    pub connect_timeout: Duration,
    /// The longest an operation waits for a primary, as during an election.
    #[serde(
        deserialize_with = "text",
        default = "default::server_selection_timeout"
    )]
    pub server_selection_timeout: Duration,
    /// How often each member is asked how it is; bounds how soon a silent one is noticed.
    #[serde(deserialize_with = "text", default = "default::heartbeat")]
    pub heartbeat: Duration,
}

impl Section for Database {
    const NAME: &'static str = "database";

    fn check(&self) -> Result<(), Complaint> {
        // MongoDB's limits for database names.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        require(
            (1..=63).contains(&self.name.len()) && self.name.chars().all(plain),
            "name",
            "1 to 63 letters, digits, hyphens and underscores are due",
        )?;
        require(
            (2..=10_000).contains(&self.max_pool_size),
            "max_pool_size",
            "2 to 10000 is due",
        )?;
        require(
            self.connect_timeout >= Duration::from_millis(100),
            "connect_timeout",
            "at least 100ms is due",
        )?;
        require(
            self.server_selection_timeout >= self.connect_timeout,
            "server_selection_timeout",
            "no less than database.connect_timeout is due",
        )?;
        // The driver refuses less.
        require(
            self.heartbeat >= Duration::from_millis(500),
            "heartbeat",
            "at least 500ms is due",
        )
    }
}

mod default {
    use super::Duration;

    pub(super) fn name() -> String {
        "certfleet".to_owned()
    }

    pub(super) fn max_pool_size() -> u32 {
        32
    }

    pub(super) fn connect_timeout() -> Duration {
        Duration::from_secs(2)
    }

    pub(super) fn server_selection_timeout() -> Duration {
        Duration::from_secs(15)
    }

    pub(super) fn heartbeat() -> Duration {
        Duration::from_secs(1)
    }
}
