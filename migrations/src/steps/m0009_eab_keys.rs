//! Keys that bind accounts, and which accounts each has bound.

use bson::doc;
use certfleet_storage::collections::{ACCOUNTS, EAB_KEYS};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let bound =
        Index::new("eab_key", doc! { "eab_key": 1 }).only(doc! { "eab_key": { "$exists": true } });
    Step {
        number: 9,
        name: "eab-keys",
        operations: vec![
            Operation::CreateCollection(EAB_KEYS),
            Operation::CreateIndexes(ACCOUNTS, vec![bound]),
        ],
    }
}
