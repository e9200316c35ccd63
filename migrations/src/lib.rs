//! The schema's history: one file per step, and the runner that applies them.
//!
//! - Steps are numbered and applied in order, each once; [`status`] tells how far a database is.
//! - A step is data: a list of operations, none of which takes away what a replica needs, so that those of the build
//!   before go on while it is applied and after. An index may go where another serves the same queries. What else was
//!   expanded is contracted by a later release's step, when no build is left that needs the old form.
//! - What a step did is recorded with its checksum. A step that was edited after it was applied is refused: the way
//!   to change a schema is another step.
//! - One runner at a time: [`migrate`] works under a lease, and waits while another has it. Every operation may be
//!   repeated, so a runner that died is simply followed by the next.
//! - Services call [`require_compatible`] before they serve.

mod ledger;
mod operation;
mod restoring;
mod runner;
mod status;
mod step;
mod steps;

pub use restoring::{begin_restore, end_restore, last_step};
pub use runner::{Applied, MigrateError, migrate};
pub use status::{AppliedStep, PendingStep, SchemaError, SchemaStatus, require_compatible, status};
