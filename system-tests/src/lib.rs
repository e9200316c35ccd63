//! What the system tests stand on: a whole cluster, the names and answers that its workers find, an ACME client that
//! can be told to do everything wrong, and a look behind the scenes.
//!
//! * [`Cluster`]: `certfleet up` as a process, started once per test program; it does not outlive it.
//! * [`acme`]: the client.
//! * [`replicas`]: connections of which it is known which API replica they lead to.
//! * [`up`]: `certfleet up` itself, to be broken off and started again.
//! * [`metrics`]: what the processes count.
//! * [`Database`]: the documents as they lie there.
//!
//! Each test uses names of its own ([`fresh_name`]), so that all run beside each other on one cluster. One that breaks
//! things takes the cluster for itself ([`Cluster::alone`]).

pub mod acme;
mod cluster;
mod database;
mod launch;
pub mod metrics;
mod names;
mod nginx;
mod openssl;
mod outsider;
mod relying_party;
pub mod replicas;
mod secrets;
mod server_files;
pub mod up;

pub use certfleet_supervisor::Signal;
pub use cluster::{Alone, Cluster, Plan, Shared};
pub use database::Database;
pub use launch::Binaries;
pub use names::fresh_name;
pub use nginx::Nginx;
pub use openssl::openssl;
pub use outsider::Outsider;
pub use relying_party::RelyingParty;
pub use server_files::write_server_files;
