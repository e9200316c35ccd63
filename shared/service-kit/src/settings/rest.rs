//! `rest`: where the REST API is heard.

use serde::Deserialize;

use super::revocation::ListenAddress;
use super::section::{Complaint, Section, require};

/// Where the REST API is heard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rest {
    /// Whether it is heard at all. Whoever asks has to show a token, and nobody has one until one is made.
    pub enabled: bool,
    /// Where the API listens for it instead of `server.listen`, with the same certificate, so that what faces the internet knows
    /// nothing of it.
    pub listen: Option<ListenAddress>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: None,
        }
    }
}

impl Section for Rest {
    const NAME: &'static str = "rest";

    fn check(&self) -> Result<(), Complaint> {
        require(
            self.enabled || self.listen.is_none(),
            "listen",
            "rest.enabled is false: nothing would listen there",
        )
    }
}
