//! `server`: the API's own address and how it serves.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::networks::Networks;
use super::section::{Complaint, Section, require};
use super::text::text;
use super::urls::ExternalUrl;

/// The API's own address and how it serves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it listens.
    #[serde(deserialize_with = "text", default = "default::listen")]
    pub listen: SocketAddr,
    /// The URL under which clients reach it; what it writes into its answers. Required.
    pub external_url: ExternalUrl,
    /// Whose `X-Forwarded-For` and `X-Request-Id` count.
    #[serde(default)]
    pub trusted_proxies: Networks,
    /// The longest a request may take before it is answered 503.
    #[serde(deserialize_with = "text", default = "default::write_timeout")]
    pub write_timeout: Duration,
    /// The longest that open requests may take after SIGTERM.
    #[serde(deserialize_with = "text", default = "default::shutdown_timeout")]
    pub shutdown_timeout: Duration,
    /// Whether other processes may listen at the same address, sharing its connections.
    #[serde(default)]
    pub reuse_port: bool,
}

impl Section for Server {
    const NAME: &'static str = "server";

    fn check(&self) -> Result<(), Complaint> {
        let second = Duration::from_secs(1);
        require(
            self.write_timeout >= second,
            "write_timeout",
            "at least 1s is due",
        )
    }
}

pub(super) mod default {
    use super::{Duration, Ipv4Addr, SocketAddr};

    pub(super) fn listen() -> SocketAddr {
        (Ipv4Addr::UNSPECIFIED, 8443).into()
    }

    pub(in crate::settings) fn write_timeout() -> Duration {
        Duration::from_secs(30)
    }

    pub(in crate::settings) fn shutdown_timeout() -> Duration {
        Duration::from_secs(25)
    }
}
