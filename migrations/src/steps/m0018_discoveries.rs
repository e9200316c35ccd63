//! Places that are looked at for what they serve.

use bson::doc;
use certfleet_storage::collections::DISCOVERIES;

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let due = Index::new("due", doc! { "next_at": 1 });
    let place = Index::new("place", doc! { "project": 1, "endpoint": 1 }).unique();
    let listed = Index::new("listed", doc! { "project": 1, "_id": 1 });
    Step {
        number: 18,
        name: "discoveries",
        operations: vec![
            Operation::CreateCollection(DISCOVERIES),
            Operation::CreateIndexes(DISCOVERIES, vec![due, place, listed]),
        ],
    }
}
