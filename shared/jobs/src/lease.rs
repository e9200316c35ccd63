//! A lease: the right to write one job's result, for a while.

use certfleet_domain::{LeaseToken, TraceParent};

use crate::job::{Job, JobKey};

/// A number that grows with every claim of a job. A write that carries an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub i64);

/// One claim of one job.
///
/// Storage makes it when it claims, and takes it back when the result is written; nothing else can write a job's
/// result. It cannot be cloned: two hands cannot hold the same claim.
#[derive(Debug)]
pub struct Lease {
    /// What is to be done.
    pub job: Job,
    /// Its key.
    pub key: JobKey,
    /// The number of this claim.
    pub fence: Fence,
    /// Tells the claims of one batch from those of all others.
    pub token: LeaseToken,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// The span that called for the job, if traces were taken there.
    pub trace: Option<TraceParent>,
}
