use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Events of the audit trail get their numbers, and what is new is signed.
pub fn duty() -> Duty {
    Duty {
        name: "audit",
        // What is in nobody's chain yet could be taken away unseen.
        every: Duration::from_secs(10),
        job: Box::new(|slot| Job::SequenceEvents {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
