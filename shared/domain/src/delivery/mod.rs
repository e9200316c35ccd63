//! Where certificates of the fleet go, and how far they are on their way (DEP).
//!
//! A [`Placement`] says which version is wanted at a [`Target`] and which one is there; the difference is what is to be
//! delivered. Nothing is queued: an [`Agent`] that was away for a month gets the latest, once, and [`gather`] lets it have in
//! one delivery whatever is due on its host.

mod agent;
mod gathering;
mod placement;
mod target;
#[cfg(test)]
mod tests;

pub use agent::{Agent, AgentCertificate, AgentState, CannotEnrol, Fingerprint, TokenDigest};
pub use gathering::{Gathering, SETTLE, gather};
pub use placement::{Placed, Placement};
pub use target::{Endpoint, FileContent, InvalidTarget, PathPattern, Slot, Target, TargetFile};
