use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Managed certificates are looked at when they are due.
pub fn duty() -> Duty {
    Duty {
        name: "renewals",
        // A run reads one key of an index where there is nothing to do.
        every: Duration::from_secs(5),
        job: Box::new(|slot| Job::PlanRenewals {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
