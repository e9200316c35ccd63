//! Claims by queue: lane and priority.

use bson::doc;
use certfleet_storage::collections::{JOBS, JOBS_DUE};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    // A claim reads what it may take and nothing else, the most urgent first. It serves what `claimable` served: replicas of
    // the former build find by it as well. Two of them would cost every claim a second write.
    let due = Index::new(
        JOBS_DUE,
        doc! { "bucket": 1, "queue": 1, "claimable_at": 1 },
    )
    .only(doc! { "claimable_at": { "$exists": true } });
    Step {
        number: 4,
        name: "queues",
        operations: vec![
            Operation::CreateIndexes(JOBS, vec![due]),
            Operation::DropIndex(JOBS, "claimable"),
        ],
    }
}
