use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Places where something might be served are looked at when they are due.
pub fn duty() -> Duty {
    Duty {
        name: "discovery",
        // A run reads one key of an index where there is nothing to do.
        every: Duration::from_secs(10),
        job: Box::new(|slot| Job::Discover {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
