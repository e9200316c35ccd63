//! What hosts' agents and the API say to each other: JSON over TLS, where the agent is known by the certificate it shows.
//!
//! An agent asks, always: it [enrols](Enrol) once, [announces](NextCertificate) the next certificate before its own is over,
//! [asks](Ask) for what is due on its host, and [reports](Report) what became of it. Each of these may be said twice.

mod pem;
mod token;

use certfleet_domain::{
    AgentName, CommandName, Endpoint, FileContent, PlacementId, TargetName, VersionId,
};
use serde::{Deserialize, Serialize};

pub use pem::KeyPem;
pub use token::token_digest;

/// Where an agent enrols.
pub const ENROL: &str = "/agent/v1/enrol";
/// Where it announces the next certificate.
pub const CERTIFICATE: &str = "/agent/v1/certificate";
/// Where it asks for what is due.
pub const DELIVERIES: &str = "/agent/v1/deliveries";
/// Where it reports.
pub const REPORTS: &str = "/agent/v1/reports";

/// The longest that an agent may ask the API to wait until there is something, in seconds.
pub const LONGEST_WAIT: u16 = 25;
/// So many certificates are delivered at once, at the most.
pub const MOST: usize = 1000;
/// So many reports are sent at once, at the most.
pub const MOST_REPORTS: usize = 25;
/// The longest reason in a report, in characters; the rest is cut.
pub const LONGEST_REASON: usize = 500;

/// An invited agent comes for the first time.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// As whom it was invited.
    pub name: AgentName,
    /// The token of the invitation.
    pub token: String,
}

/// An agent is about to show another certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextCertificate {
    /// That certificate, PEM.
    pub certificate: String,
}

/// An agent asks for what is due on its host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// For how long the answer may be held back until there is something, in seconds; up to [`LONGEST_WAIT`].
    pub wait: u16,
    /// Which build of the agent asks.
    pub software: String,
}

/// What is due on a host, all at once. Empty if there is nothing.
#[derive(Serialize, Deserialize)]
pub struct Delivery {
    /// Each certificate.
    pub items: Vec<Item>,
}

/// A certificate that is due at a target.
#[derive(Serialize, Deserialize)]
pub struct Item {
    /// What the report names.
    pub placement: PlacementId,
    /// Which version of the certificate this is.
    pub version: VersionId,
    /// Which target.
    pub target: TargetName,
    /// The name to ask for when it is looked at whether it is served.
    pub served_name: String,
    /// What is to be written.
    pub files: Vec<File>,
    /// What is to be run when everything is written: the name of a command in the agent's own settings.
    pub reload: Option<CommandName>,
    /// Where it has to be served afterwards.
    pub probe: Option<Endpoint>,
    /// The chain, PEM: the certificate first.
    pub chain: String,
    /// Its private key, PKCS#8 in PEM.
    pub key: KeyPem,
}

/// A file of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where it lies.
    pub path: String,
    /// What is in it.
    pub content: FileContent,
    /// Its permission bits.
    pub mode: u32,
    /// Whose it is, `user` or `user:group`; without it, the agent's.
    pub owner: Option<String>,
}

/// What became of items.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// Each.
    pub reports: Vec<Report>,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Of which.
    pub placement: PlacementId,
    /// Of which version.
    pub version: VersionId,
    /// What.
    pub outcome: Outcome,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Outcome {
    /// It is there.
    Placed {
        /// Whether the host was seen to serve it.
        seen: bool,
    },
    /// It is not, and what was there before is there again.
    Failed {
        /// Why; for people.
        why: String,
    },
}
