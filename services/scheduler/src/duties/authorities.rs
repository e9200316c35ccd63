use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// Each authority is asked whether it can sign, once for the whole cluster.
pub fn duty() -> Duty {
    Duty {
        name: "authorities",
        every: Duration::from_secs(60),
        job: Box::new(|slot| Job::CheckAuthorities {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
