//! Whether what is served is what should be (DEP-4): what is watched, what was found, and what follows from it. Pure.

mod served;
#[cfg(test)]
mod tests;
mod watch;

pub use served::{Drift, Expected, Served, judge};
pub use watch::{Finding, Watch, WatchPolicy};
