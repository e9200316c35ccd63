//! The timetable of the scheduler's duties.

use certfleet_storage::collections::DUTIES;

use crate::operation::Operation;
use crate::step::Step;

pub(super) fn step() -> Step {
    Step {
        number: 3,
        name: "duties",
        operations: vec![Operation::CreateCollection(DUTIES)],
    }
}
