//! What a fleet costs its authority per hour, and how long it would take to replace all of it (FLT-10): arithmetic, before
//! anything is bought or promised.

use time::Duration;

use super::Budget;
use crate::clock::Timestamp;
use crate::limits::Rate;
use crate::renewal::renewal_due;

/// A client asks an authority so often for its suggestion (RFC 9773 §4.3.2's usual `Retry-After`).
const ASKED_EVERY: Duration = Duration::hours(6);
/// So many requests are one renewal with one name by http-01: newOrder, the authorization, the challenge, finalize, the certificate,
/// and looks at the order in between. The robot's own, as `load-tests/fleet` has counted them.
const REQUESTS: f64 = 15.0;

/// A fleet, in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// How many certificates.
    pub certificates: u64,
    /// How long each is valid.
    pub lifetime: Duration,
    /// Over how many registered domains they are spread, evenly; one at the least.
    pub domains: u64,
    /// How many certificates a second the workers get from the authority when nothing holds them up.
    pub throughput: f64,
}

/// A limit, and what of it a fleet needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// Which limit.
    pub limit: &'static str,
    /// How much it lets through.
    pub rate: Rate,
    /// How many an hour the fleet needs, if no order says what it replaces.
    pub per_hour: f64,
    /// The part of what the limit lets through in the long run that this is; above 1 it does not suffice.
    pub share: f64,
    /// How long replacing everything takes by this limit, if no order says what it replaces.
    pub replacing_all: Duration,
}

/// What a fleet costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// After how long each certificate is renewed.
    pub renewed_after: Duration,
    /// Renewals an hour, once they are spread evenly.
    pub renewals_per_hour: f64,
    /// Requests an hour: those of the renewals, and the questions for suggestions.
    pub requests_per_hour: f64,
    /// What of the limits is needed by orders that do not say what they replace. Those that do are exempt, and need none.
    pub needs: Vec<Need>,
    /// How long replacing everything takes where orders are exempt: what the workers need.
    pub replacing_exempt: Duration,
    /// How long it takes where they are not: another authority, or new names.
    pub replacing_all: Duration,
    /// How long a certificate has left when the robot begins to renew it: what is not replaced within this time has expired.
    pub kept_for_failures: Duration,
}

impl Workload {
    /// What it costs, under this budget.
    pub fn capacity(&self, budget: &Budget) -> Capacity {
        let now = Timestamp::UNIX_EPOCH;
        let renewed_after = renewal_due(now, now + self.lifetime) - now;
        let hours = renewed_after.as_seconds_f64() / 3600.0;
        let all = count(self.certificates);
        let renewals_per_hour = ratio(all, hours);
        let asked_per_hour = ratio(all, ASKED_EVERY.as_seconds_f64() / 3600.0);
        let of_a_domain = ratio(all, count(self.domains.max(1)));
        let need = |limit, rate: Option<Rate>, certificates: f64| {
            let rate = rate?;
            let per_hour = ratio(certificates, hours);
            let allowed = f64::from(rate.count()) / (rate.period().as_secs_f64() / 3600.0);
            Some(Need {
                limit,
                rate,
                per_hour,
                share: per_hour / allowed,
                replacing_all: hours_long((certificates - f64::from(rate.count())) / allowed),
            })
        };
        let needs: Vec<Need> = [
            need("orders of the account", budget.orders, all),
            need(
                "orders for a registered domain",
                budget.orders_per_domain,
                of_a_domain,
            ),
            // Each certificate has names of its own.
            need(
                "orders for the same names",
                budget.orders_per_name_set,
                all.min(1.0),
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        let replacing_exempt = hours_long(ratio(all, self.throughput) / 3600.0);
        let longest = needs.iter().map(|need| need.replacing_all).max();
        Capacity {
            renewed_after,
            renewals_per_hour,
            requests_per_hour: renewals_per_hour * REQUESTS + asked_per_hour,
            needs,
            replacing_exempt,
            replacing_all: longest.unwrap_or_default().max(replacing_exempt),
            kept_for_failures: self.lifetime - renewed_after,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a forecast")]
fn count(certificates: u64) -> f64 {
    certificates as f64
}

fn ratio(of: f64, by: f64) -> f64 {
    if by > 0.0 { of / by } else { f64::INFINITY }
}

/// So many hours; as good as for ever where that is no time.
fn hours_long(hours: f64) -> Duration {
    Duration::checked_seconds_f64(hours.max(0.0) * 3600.0).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(lifetime: Duration) -> Workload {
        Workload {
            certificates: 100_000,
            lifetime,
            domains: 1000,
            throughput: 20.0,
        }
    }

    fn close(found: f64, due: f64) {
        assert!(
            (found - due).abs() < due.abs() * 0.005 + 1e-9,
            "{found}, and {due} is due"
        );
    }

    #[test]
    fn what_a_fleet_costs_is_what_was_published_of_it() {
        for (lifetime, per_hour) in [
            (Duration::days(90), 69.4),
            (Duration::days(45), 138.9),
            (Duration::days(47), 133.0),
            (Duration::hours(160), 1250.0),
        ] {
            let capacity = workload(lifetime).capacity(&Budget::default());
            close(capacity.renewals_per_hour, per_hour);
            close(
                capacity.requests_per_hour,
                per_hour * REQUESTS + 100_000.0 / 6.0,
            );
            assert!(capacity.needs.is_empty());
            assert_eq!(capacity.replacing_all, Duration::seconds(5000));
        }
    }

    #[test]
    fn a_limit_that_does_not_suffice_is_told_by_its_share() {
        let capacity = workload(Duration::days(90)).capacity(&Budget::lets_encrypt());
        let shares: Vec<f64> = capacity.needs.iter().map(|need| need.share).collect();
        // 69.4 of 100 an hour; a domain's hundred are 0.069 of 0.298 an hour; one is 0.0007 of 0.0298.
        close(shares[0], 0.694);
        close(shares[1], 0.2333);
        close(shares[2], 0.0233);
        // 99,700 at a hundred an hour, and a domain's other 50 in another week.
        assert_eq!(capacity.replacing_all, Duration::hours(997));
        assert_eq!(capacity.needs[1].replacing_all, Duration::days(7));
        assert_eq!(capacity.needs[2].replacing_all, Duration::ZERO);
        assert_eq!(capacity.kept_for_failures, Duration::days(30));
        let short = workload(Duration::days(6)).capacity(&Budget::lets_encrypt());
        assert!(short.needs[0].share > 1.0, "{short:?}");
    }

    #[test]
    fn nothing_and_too_much_are_no_error() {
        let none = Workload {
            certificates: 0,
            lifetime: Duration::ZERO,
            domains: 0,
            throughput: 0.0,
        };
        let capacity = none.capacity(&Budget::lets_encrypt());
        assert!(capacity.renewals_per_hour.is_nan() || capacity.renewals_per_hour >= 0.0);
        let most = Workload {
            certificates: u64::MAX,
            lifetime: Duration::days(1),
            domains: 1,
            throughput: 1e-9,
        };
        assert_eq!(
            most.capacity(&Budget::default()).replacing_all,
            Duration::MAX
        );
    }
}
