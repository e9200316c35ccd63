//! Group commit: many callers' writes, one majority commit.
//!
//! [`GroupCommit`] takes [`Unit`]s, each all-or-nothing, gathers those that arrive while earlier ones are being
//! written, and writes them in one transaction. Each caller learns the fate of its own unit: applied, or refused
//! because a document was no longer what the caller had read. [`InsertGroup`] is the lighter sibling for single
//! documents whose id alone decides, and [`FindGroup`] does for reads by id what the others do for writes.

mod batch;
mod commit;
mod find;
mod gather;
mod insert;
mod unit;

pub use commit::GroupCommit;
pub(crate) use find::FindGroup;
pub use insert::{InsertGroup, Inserted};
pub use unit::Unit;
pub(crate) use unit::{Row, Write};
