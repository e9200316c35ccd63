//! The state of rate limits.

use bson::doc;
use certfleet_storage::collections::LIMITS;

use crate::operation::{Index, Operation};
use crate::step::Step;

/// How far the clocks of the members may lie apart: a member that becomes primary must still find what has drained by
/// another's clock and not by its own.
const CLOCK_TOLERANCE: i32 = 10 * 60;

pub(super) fn step() -> Step {
    let drained =
        Index::new("drained", doc! { "expires_at": 1 }).expire_after_seconds(CLOCK_TOLERANCE);
    // `certfleet limits list`: there are few, among all that is counted.
    let paused = Index::new("paused", doc! { "paused_at": 1 })
        .only(doc! { "paused_at": { "$exists": true } });
    Step {
        number: 5,
        name: "limits",
        operations: vec![
            Operation::CreateCollection(LIMITS),
            Operation::CreateIndexes(LIMITS, vec![drained, paused]),
        ],
    }
}
