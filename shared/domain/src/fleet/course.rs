//! How far a renewal is.

use super::Reason;
use crate::UpstreamName;
use crate::clock::Timestamp;
use crate::ids::VersionId;

/// How far a renewal is. Each step is written down before what cannot be undone is done: killed anywhere, it goes on from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// Nothing is under way.
    Resting,
    /// An order is to be placed, or was placed and nobody has written down its URL.
    Placing(Attempt),
    /// There is an order.
    Ordered {
        /// What it is for.
        attempt: Attempt,
        /// Its URL.
        order: String,
    },
}

/// A renewal that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Why.
    pub reason: Reason,
    /// From whom.
    pub upstream: UpstreamName,
    /// Under what the new certificate and its key will be kept; the key is there before the order.
    pub version: VersionId,
    /// Since when.
    pub since: Timestamp,
    /// Whether the order says what it replaces (RFC 9773 §5). Not any more once the authority has refused it for that.
    pub says_replaces: bool,
}

impl Course {
    /// The name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::Placing(_) => "placing",
            Self::Ordered { .. } => "ordered",
        }
    }

    /// The attempt that is under way.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Resting => None,
            Self::Placing(attempt) | Self::Ordered { attempt, .. } => Some(attempt),
        }
    }
}
