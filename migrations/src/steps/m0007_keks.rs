//! Which KEK seals, and which secrets are under which.

use bson::doc;
use certfleet_storage::collections::{KEKS, SECRETS};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let by_kek = Index::new("kek", doc! { "kek": 1, "_id": 1 });
    Step {
        number: 7,
        name: "keks",
        operations: vec![
            Operation::CreateCollection(KEKS),
            Operation::CreateIndexes(SECRETS, vec![by_kek]),
        ],
    }
}
