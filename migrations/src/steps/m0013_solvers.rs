//! Who can prove names by dns-01, and the records that are to be there for it, or not any more.

use bson::doc;
use certfleet_storage::collections::{DNS_PROOFS, SOLVERS};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let state = Index::new("state", doc! { "state": 1 });
    let over = Index::new("until", doc! { "until": 1 });
    let managed = Index::new("managed", doc! { "managed": 1 });
    Step {
        number: 13,
        name: "solvers",
        operations: vec![
            Operation::CreateCollection(SOLVERS),
            Operation::CreateCollection(DNS_PROOFS),
            Operation::CreateIndexes(DNS_PROOFS, vec![state, over, managed]),
        ],
    }
}
