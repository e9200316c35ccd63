//! Group commit: many callers' writes, one majority commit.
//!
//! [`GroupCommit`] takes [`Unit`]s, each all-or-nothing, gathers those that arrive while earlier ones are being
//! written, and writes them in one transaction. Each caller learns the fate of its own unit: applied, or refused
//! because a document was no longer what the caller had read. [`FindGroup`] does the same for reads by id.

mod batch;
mod commit;
mod find;
mod gather;
mod spending;
mod unit;

pub use commit::{GroupCommit, Witness};
pub(crate) use find::FindGroup;
pub use unit::Unit;
pub(crate) use unit::{Row, Write};
