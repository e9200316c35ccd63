use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// CRLs that are due are signed, and those that a revoked certificate is missing in.
pub fn duty() -> Duty {
    Duty {
        name: "crls",
        // A revoked certificate is listed within a minute, whatever happens to a run or two.
        every: Duration::from_secs(10),
        job: Box::new(|slot| Job::PublishCrls {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
