//! `management`: the port for probes and metrics.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

use super::secret_text::SecretText;
use super::section::Section;
use super::text::text;

/// The port for probes and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Management {
    /// Where it listens.
    #[serde(deserialize_with = "text")]
    pub listen: SocketAddr,
    /// The bearer token that `/metrics` asks for; without one, it asks for none.
    pub metrics_token: Option<SecretText>,
}

impl Default for Management {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9090).into(),
            metrics_token: None,
        }
    }
}

impl Section for Management {
    const NAME: &'static str = "management";
}
