use std::time::Duration;

use certfleet_domain::Timestamp;
use certfleet_jobs::Job;
use certfleet_service_kit::settings::Scheduler;

use super::Duty;
use crate::slot::Slot;

/// What has served its time is removed.
pub fn duty(settings: &Scheduler) -> Duty {
    let (orders, authorizations) = (settings.retain_orders, settings.retain_authorizations);
    let jobs_for = settings.retain_jobs.as_secs();
    let (audit, versions) = (settings.retain_audit, settings.retain_versions);
    Duty {
        name: "retention",
        every: Duration::from_secs(60),
        job: Box::new(move |Slot { due, since }| Job::ApplyRetention {
            due: due.unix_timestamp(),
            since: since.unix_timestamp(),
            orders_before: before(due, orders),
            authorizations_before: before(due, authorizations),
            jobs_for,
            audit_before: audit.map(|time| before(due, time)),
            versions_before: Some(before(due, versions)),
        }),
    }
}

/// So long before, in Unix seconds; 0 if that is earlier.
fn before(at: Timestamp, time: Duration) -> i64 {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    at.unix_timestamp().saturating_sub(seconds).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_what_may_go() {
        let settings = Scheduler {
            retain_orders: Duration::from_secs(1000),
            retain_authorizations: Duration::MAX,
            retain_jobs: Duration::from_secs(7),
            retain_audit: Some(Duration::from_secs(3000)),
            retain_versions: Duration::from_secs(3500),
            ..Scheduler::default()
        };
        let due = Timestamp::UNIX_EPOCH + Duration::from_secs(5000);
        let since = due - Duration::from_secs(60);
        let job = (duty(&settings).job)(Slot { due, since });
        let expected = Job::ApplyRetention {
            due: 5000,
            since: 4940,
            orders_before: 4000,
            authorizations_before: 0,
            jobs_for: 7,
            audit_before: Some(2000),
            versions_before: Some(1500),
        };
        assert_eq!(job, expected);
    }
}
