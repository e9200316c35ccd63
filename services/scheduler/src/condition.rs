//! How the duties are, for `/healthz`: the last run of each, whoever enqueued it.

use certfleet_service_kit::Condition;
use certfleet_storage::jobs::JobState;
use certfleet_storage::{LastRun, Look};

use crate::duties::Duty;

/// A duty is overdue when its last run was due so many of its intervals ago, or goes on for so long.
const OVERDUE_AFTER: u32 = 3;

/// How the duties are, by a look at the timetable.
pub fn condition(duties: &[Duty], look: Option<&Look>) -> Condition {
    let mut well = true;
    let mut lines = Vec::with_capacity(duties.len());
    for duty in duties {
        let last = look.and_then(|look| {
            let last = look.last.iter().find(|last| last.duty == duty.name)?;
            // One that is due later than its next may be was so by a clock that was wrong.
            let astray = last.due > look.now + duty.every;
            Some((
                last,
                astray || look.now - last.due > duty.every * OVERDUE_AFTER,
            ))
        });
        let Some((last, overdue)) = last else {
            well = false;
            lines.push(format!("{} has not run", duty.name));
            continue;
        };
        let (is_well, how) = how_it_went(last);
        well &= is_well && !overdue;
        let late = if overdue { ", and is overdue" } else { "" };
        lines.push(format!("{} of {}: {how}{late}", duty.name, last.due));
    }
    let detail = lines.join("; ");
    if well {
        Condition::ok_with(detail)
    } else {
        Condition::degraded(detail)
    }
}

fn how_it_went(last: &LastRun) -> (bool, String) {
    match last.state {
        Some(JobState::Done) | None => (true, "done".to_owned()),
        Some(JobState::Queued) => (true, "waits for a worker".to_owned()),
        Some(JobState::Leased) => (true, "is being done".to_owned()),
        Some(JobState::Discarded) => (true, "given up, and put away".to_owned()),
        Some(JobState::Dead) => {
            let job = &last.job;
            (
                false,
                format!("given up; `certfleet jobs show {job}` tells why"),
            )
        }
    }
}
