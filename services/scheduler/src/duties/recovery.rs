use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Orders and challenges that wait for a job, and have none, get their job back.
pub fn duty() -> Duty {
    Duty {
        name: "recovery",
        every: Duration::from_secs(30),
        job: Box::new(|slot| Job::RecoverWork {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
