//! The whole cluster on one machine, as processes: what `certfleet up`, the tests and the drills stand on.
//!
//! A [`Cluster`] is a data directory held under a [`DataLock`], three mongods as a [`ReplicaSet`] on loopback, and any
//! number of services. What it promises:
//!
//! - One cluster per data directory; a second start is refused with the pid of the first.
//! - What it starts does not outlive it. A clean [`Cluster::stop`] waits for each process; dropping any of the types
//!   here, at any `await`, sends SIGTERM to what they started; the kernel does the same if the supervisor is killed
//!   (where `setpriv` is on the `PATH`); and what still got away is found and stopped at the next start.
//! - A start resumes with the data that is there, even if a port has been taken in the meantime.
//! - Each error is one line that says what to do.
//!
//! Linux only: it reads `/proc`.

mod cluster;
mod error;
mod leftovers;
mod lock;
mod manifest;
mod members;
mod mongod;
mod ports;
mod process;
mod procfs;
mod readiness;
mod replica_set;
mod service;
mod topology;

pub use cluster::{Cluster, Exited, Mongo};
pub use error::SupervisorError;
pub use leftovers::stop_leftovers;
pub use lock::DataLock;
pub use manifest::{Endpoints, Manifest, ProcessEntry};
pub use mongod::{Mongod, MongodBinary, MongodOptions};
pub use nix::sys::signal::Signal;
pub use ports::{pick_free_ports, require_free};
pub use process::{OWNER_VARIABLE, Process, ProcessSpec, Stopped, find_on_path};
pub use readiness::wait_until_ready;
pub use replica_set::ReplicaSet;
pub use service::{Service, ServiceSpec};
