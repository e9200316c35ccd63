use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Secrets that are under another KEK than the one that seals are sealed anew.
pub fn duty() -> Duty {
    Duty {
        name: "keks",
        // A run reads one document of each KEK where there is nothing to do.
        every: Duration::from_secs(10),
        job: Box::new(|slot| Job::RewrapSecrets {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
