//! Where certificates of the fleet should be served, and what was found there.

use bson::doc;
use certfleet_storage::collections::WATCHES;

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let due = Index::new("due", doc! { "next_at": 1 });
    let found = Index::new("found", doc! { "finding.first_seen": 1 })
        .only(doc! { "finding.first_seen": { "$exists": true } });
    let managed = Index::new("managed", doc! { "managed": 1, "endpoint": 1, "name": 1 }).unique();
    Step {
        number: 14,
        name: "watches",
        operations: vec![
            Operation::CreateCollection(WATCHES),
            Operation::CreateIndexes(WATCHES, vec![due, found, managed]),
        ],
    }
}
