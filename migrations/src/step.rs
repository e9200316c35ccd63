//! A step: its number, its name, and what it does.

use aws_lc_rs::digest::{SHA256, digest};
use bson::{Document, doc};

use crate::operation::Operation;

/// The number under which it is on record that a restore is under way. No build has such a step, so that none works with the
/// database, those from before there were restores among them.
pub(crate) const UNDER_WAY: i32 = i32::MAX;

/// One step of the schema's history. Once released it never changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Its place in the order, from 1, without gaps.
    pub(crate) number: i32,
    /// What it brings, in a few words.
    pub(crate) name: &'static str,
    /// What it does, in order.
    pub(crate) operations: Vec<Operation>,
}

impl Step {
    /// SHA-256 over the step's canonical description, in hex: a BSON document of its number, its name and the
    /// commands that it sends, in their order. BSON, because it has one encoding, whatever the version of the library.
    pub(crate) fn checksum(&self) -> Result<String, bson::error::Error> {
        let commands: Vec<Document> = self.operations.iter().map(Operation::command).collect();
        let description = doc! { "number": self.number, "name": self.name, "operations": commands };
        let octets = bson::serialize_to_vec(&description)?;
        Ok(hex::encode(digest(&SHA256, &octets)))
    }
}
