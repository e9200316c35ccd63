//! Certificates that managed ones have had, by when they expired: what is not kept any more is found by that.

use bson::doc;
use certfleet_storage::collections::VERSIONS;

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let expired = Index::new("expired", doc! { "not_after": 1, "_id": 1 });
    Step {
        number: 17,
        name: "versions",
        operations: vec![Operation::CreateIndexes(VERSIONS, vec![expired])],
    }
}
