use std::time::Duration;

use certfleet_jobs::Job;

use super::Duty;

/// People are told what they are to know.
pub fn duty() -> Duty {
    Duty {
        name: "notices",
        // What comes within this time is told together.
        every: Duration::from_secs(15),
        job: Box::new(|slot| Job::TellNotices {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}
