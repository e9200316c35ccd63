//! The audit trail: what is recorded of an act, and how anybody can tell that the record is whole.
//!
//! - An [`Event`] is one line of JSON; its bytes are what is hashed, stored and exported.
//! - A [`Head`] appends lines: each gets its number, a link of the hash chain, and a leaf of a Merkle tree as RFC 6962
//!   has it.
//! - A [`Checkpoint`] says, signed, how long the log is and what its tree's root is (C2SP tlog-checkpoint). Kept
//!   elsewhere, it holds the log to what it was.
//! - A [`Verifier`] reads the log again from the start, or from a checkpoint, and names the first entry that is wrong.
//!
//! Nothing here does IO.

mod checkpoint;
mod entry;
mod event;
mod hash;
mod key;
mod local;
mod log;
mod proof;
mod signer;
mod tree;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use entry::Entry;
pub use event::{Act, Actor, Event, Outcome, Sender};
pub use hash::Hash;
pub use key::{CheckpointKey, InvalidKey};
pub use local::{LocalChain, LocalEntry, LocalError};
pub use log::Head;
pub use proof::{Leaves, proves_consistency, proves_inclusion};
pub use signer::CheckpointSigner;
pub use tree::Frontier;
pub use verify::{Tampering, Verifier};
