//! Claims by queue: lane and priority.

use bson::doc;
use certfleet_storage::collections::{JOBS, JOBS_DUE};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    // A claim reads what it may take and nothing else, the most urgent first. It does what `claimable` did, which stays for
    // replicas of the former build.
    let due = Index::new(
        JOBS_DUE,
        doc! { "bucket": 1, "queue": 1, "claimable_at": 1 },
    )
    .only(doc! { "claimable_at": { "$exists": true } });
    Step {
        number: 4,
        name: "queues",
        operations: vec![Operation::CreateIndexes(JOBS, vec![due])],
    }
}
