//! What of an event goes into the headers of a message. It may be of a newer build, so nothing of it is required.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What of an event goes into headers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Glance {
    pub at: String,
    pub server: String,
    pub actor: String,
    pub address: String,
    pub request: String,
    pub act: String,
    pub target: String,
    pub outcome: String,
    pub detail: String,
}

impl Glance {
    /// At an event's line. What cannot be read is empty: the line itself is sent all the same.
    pub fn at(event: &str) -> Self {
        serde_json::from_str(event).unwrap_or_default()
    }

    /// When it was.
    pub fn moment(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.at, &Rfc3339).ok()
    }

    /// Whether it was decided against.
    pub fn was_refused(&self) -> bool {
        self.outcome == "refused"
    }
}
