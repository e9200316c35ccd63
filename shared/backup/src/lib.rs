//! Backups: a consistent snapshot of the database in one file, and the way back.
//!
//! The file is a tar archive of compressed chunks, each of them BSON documents one after the other, as `mongorestore` takes
//! them, and a manifest with their counts and digests as its last entry: one that was cut short has none, and is refused.
//! Secrets are in it as they lie in the database, sealed; the KEK never is.
//!
//! A restore checks every digest before it writes anything. While it is under way the schema's record says so, so that no
//! service starts on half of the data; broken off, it goes on where it was.

mod archive;
mod create;
mod error;
mod history;
mod manifest;
mod restore;

pub use archive::inspect;
pub use create::create;
pub use error::BackupError;
pub use manifest::{AuditHead, Chunk, Contents, FORMAT, Manifest};
pub use restore::{Onto, restore};
