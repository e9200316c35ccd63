//! The cluster's switches, and the list of dead jobs.

use bson::doc;
use certfleet_storage::collections::{JOBS, SWITCHES};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    // `certfleet jobs list`: there are few, among all that have finished.
    let dead =
        Index::new("dead", doc! { "died_at": 1 }).only(doc! { "died_at": { "$exists": true } });
    Step {
        number: 2,
        name: "switches",
        operations: vec![
            Operation::CreateCollection(SWITCHES),
            Operation::CreateIndexes(JOBS, vec![dead]),
        ],
    }
}
