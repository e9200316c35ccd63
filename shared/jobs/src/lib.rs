//! What a job is, and the rules by which it is claimed, retried and given up. Pure: storage drives it.
//!
//! Promise of the engine: a job is carried out **at least once**; its effects happen **once**, because every write
//! that a job makes filters on the fence of its [`Lease`], and what it creates has a unique key.

mod backoff;
mod job;
mod lane;
mod lease;
mod outcome;
mod priority;
mod progress;
mod protocol;
mod room;

pub use backoff::Backoff;
pub use job::{Job, JobKey, JobKind, UnknownJobKind};
pub use lane::Lane;
pub use lease::{Fence, Lease};
pub use outcome::Outcome;
pub use priority::Priority;
pub use progress::Progress;
pub use protocol::{Entry, Moment, Standing};
pub use room::Room;
