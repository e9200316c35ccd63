use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Whoever collects such things gets what is new in the audit trail.
pub fn duty() -> Duty {
    Duty {
        name: "forwarding",
        // As often as there is something new.
        every: Duration::from_secs(10),
        job: Box::new(|slot| Job::ForwardEvents {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
