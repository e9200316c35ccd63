//! How an attempt at a job ended.

use std::time::Duration;

/// How an attempt at a job ended, for the engine. What it achieved is written beside it, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing left to do, be it that the work succeeded or that it failed in a way that is its result.
    Done,
    /// Trouble that may pass: again after this time.
    Retry {
        /// How long to wait.
        after: Duration,
        /// What happened.
        error: String,
    },
    /// Trouble that will not pass: the job is dead until a person acts.
    Fail {
        /// What happened.
        error: String,
    },
    /// Given back untouched by a worker that is shutting down: at once, and the attempt does not count.
    Release,
}
