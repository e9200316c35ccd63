//! `agents`: where hosts' agents are heard.

use serde::Deserialize;

use super::revocation::ListenAddress;
use super::section::{Complaint, Section, require};
use super::urls::ExternalUrl;

/// Where hosts' agents are heard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agents {
    /// Where the API listens for them, beside `server.listen`, with the same certificate. Without it, there are none.
    pub listen: Option<ListenAddress>,
    /// The URL under which they reach it; what invitations say.
    pub url: Option<ExternalUrl>,
}

impl Section for Agents {
    const NAME: &'static str = "agents";

    fn check(&self) -> Result<(), Complaint> {
        let secure = |url: &ExternalUrl| url.as_str().starts_with("https://");
        require(
            self.url.as_ref().is_none_or(secure),
            "url",
            "https:// is due: agents are given keys, and are known by their certificates",
        )
    }
}
