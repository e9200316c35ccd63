//! What tests stand on: a real replica set with a database each, and a server that meets ACME challenges.
//!
//! Dev only. It panics where a test would, with a line that says what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot be set up has to fail, and panicking is how tests fail"
)]

mod challenges;
mod database;
mod janitor;
mod key_services;
mod knot;
mod kubernetes;
mod pebble;
mod replica_set;
mod server;
mod soft_hsm;

pub use challenges::{ChallengeServer, Ports, Query};
pub use database::{TestDatabase, database};
pub use key_services::{Kms, VaultServer};
pub use knot::{KNOT_KEY, KNOT_KEY_NAME, KnotServer};
pub use kubernetes::{Identity, Kubernetes, Signer};
pub use pebble::{PebbleOptions, PebbleServer};
pub use replica_set::{mongo_uri, tools_directory};
pub use soft_hsm::{SoftHsm, TokenServer};
