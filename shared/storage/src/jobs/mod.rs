//! The queue.
//!
//! A job is one document. While it is to be done it has a `claimable_at`: when it is due, or, once it is claimed,
//! when its lease runs out. So one index and one query find both new work and work whose worker died, by the server's
//! own time. A finished job has no `claimable_at` and is not in that index: an idle poll examines nothing, however
//! many finished jobs there are.
//!
//! Jobs are spread over [`BUCKETS`] by their key, and the buckets over the live workers, so that claims of different
//! processes do not meet. What a process neglects is taken by others after [`Claimer::STEAL_AFTER`].

mod claim;
mod desk;
mod document;
mod feed;
mod queue;
mod record;
mod share;

pub use claim::Claimer;
pub use desk::Wanted;
pub use document::{Due, JobState};
pub use feed::{HeardJob, JobFeed, Watching};
pub use queue::{Jobs, Recovered};
pub use record::{JobError, JobRecord};

/// How many buckets jobs are spread over.
pub const BUCKETS: i32 = 64;
