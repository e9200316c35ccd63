//! The one deadline of a validation, and shorter limits of its steps.

use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// When a validation has to be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies this far ahead.
    pub(crate) fn after(total: Duration) -> Self {
        Self(Instant::now() + total)
    }

    /// Runs a step until it is done or the deadline is there.
    pub(crate) async fn run<F: Future>(self, step: F) -> Result<F::Output, Elapsed> {
        timeout_at(self.0, step).await
    }

    /// Runs a step that may take `at_most` this long, and not beyond the deadline.
    pub(crate) async fn run_within<F: Future>(
        self,
        at_most: Duration,
        step: F,
    ) -> Result<F::Output, Elapsed> {
        timeout_at(self.0.min(Instant::now() + at_most), step).await
    }
}
