//! The fleet: certificates that are kept renewed, from whichever authority (FLT).
//!
//! The brain is here, and pure: [`Managed`] says what is to be done next and why, and its transitions are the only way on.
//! Whoever carries it out asks, does, and writes what came of it.

mod budget;
mod capacity;
mod course;
mod managed;
mod reason;
mod setback;
mod solver;
#[cfg(test)]
mod tests;
mod upstream;

pub use budget::Budget;
pub use capacity::{Capacity, Need, Workload};
pub use course::{Attempt, Course};
pub use managed::{Managed, Next};
pub use reason::Reason;
pub use setback::Setback;
pub use solver::{
    DnsProof, ProofState, Solver, TsigAlgorithm, UnknownAlgorithm, challenge_name, settled,
};
pub use upstream::{Upstream, UpstreamBinding};

use crate::UpstreamName;
use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::ids::{ManagedId, VersionId};
use crate::renewal::RenewalWindow;

/// The certificate that a managed one has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Under what its chain and its key are kept.
    pub version: VersionId,
    /// Whom it is from.
    pub upstream: UpstreamName,
    /// How ARI names it (RFC 9773 §4.1); `None` if it has no authority key identifier.
    pub cert_id: Option<String>,
    /// Its serial number, hex.
    pub serial: String,
    /// The names in it, sorted.
    pub names: Vec<Identifier>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// What its authority suggests; `None` until it was asked, or where it suggests nothing.
    pub advice: Option<Advice>,
    /// When its authority is to be asked again.
    pub ask_at: Timestamp,
}

/// One certificate of those that a managed one has had. Its key lies sealed, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: VersionId,
    /// Whose it is.
    pub managed: ManagedId,
    /// Whom it is from.
    pub upstream: UpstreamName,
    /// The chain as it came, PEM: the certificate first.
    pub chain: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// When it came.
    pub created_at: Timestamp,
}

/// What an authority suggests of a certificate (RFC 9773).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// When to renew it.
    pub window: RenewalWindow,
    /// The moment in it that was drawn.
    pub moment: Timestamp,
    /// Where people read why.
    pub explanation_url: Option<String>,
}
