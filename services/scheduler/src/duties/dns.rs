use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Proofs of names go into zones that the fleet may change, and out again.
pub fn duty() -> Duty {
    Duty {
        name: "dns",
        // A renewal waits for it.
        every: Duration::from_secs(5),
        job: Box::new(|slot| Job::UpdateDns {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
