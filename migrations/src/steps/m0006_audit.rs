//! The audit trail.

use certfleet_storage::collections::{AUDIT_CHECKPOINTS, AUDIT_LOG, AUDIT_OUTBOX, AUDIT_STATE};

use crate::operation::Operation;
use crate::step::Step;

pub(super) fn step() -> Step {
    // All by their ids: an event's number, a checkpoint's size, and in the outbox the time.
    let collections = [AUDIT_OUTBOX, AUDIT_LOG, AUDIT_CHECKPOINTS, AUDIT_STATE];
    Step {
        number: 6,
        name: "audit",
        operations: collections.map(Operation::CreateCollection).into(),
    }
}
