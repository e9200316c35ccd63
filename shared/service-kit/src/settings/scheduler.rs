//! `scheduler`: who leads, and how long what is finished is kept.

use std::time::Duration;

use serde::Deserialize;

use super::section::{Complaint, Section, require};
use super::text::{if_any, text};

/// Who leads, and how long what is finished is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheduler {
    /// How long after the last sign of the leader another leads, at most.
    #[serde(deserialize_with = "text")]
    pub lease_ttl: Duration,
    /// How often the leader renews it.
    #[serde(deserialize_with = "text")]
    pub renew_every: Duration,
    /// How long orders are kept after they end.
    #[serde(deserialize_with = "text")]
    pub retain_orders: Duration,
    /// How long authorizations are kept after they end.
    #[serde(deserialize_with = "text")]
    pub retain_authorizations: Duration,
    /// How long certificates that managed ones have had are kept, with their keys, after they expire.
    #[serde(deserialize_with = "text")]
    pub retain_versions: Duration,
    /// How long jobs are kept after they end.
    #[serde(deserialize_with = "text")]
    pub retain_jobs: Duration,
    /// How long entries of the audit trail are kept; without it, for ever.
    #[serde(deserialize_with = "if_any")]
    pub retain_audit: Option<Duration>,
}

impl Default for Scheduler {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            lease_ttl: Duration::from_secs(15),
            renew_every: Duration::from_secs(5),
            retain_orders: days(90),
            retain_authorizations: days(90),
            retain_versions: days(30),
            retain_jobs: days(7),
            retain_audit: None,
        }
    }
}

impl Section for Scheduler {
    const NAME: &'static str = "scheduler";

    fn check(&self) -> Result<(), Complaint> {
        require(
            self.lease_ttl >= Duration::from_secs(2),
            "lease_ttl",
            "at least 2s is due",
        )?;
        // So that one lost renewal does not lose the lease.
        require(
            !self.renew_every.is_zero() && self.renew_every * 2 < self.lease_ttl,
            "renew_every",
            "more than 0s and less than half of scheduler.lease_ttl is due",
        )?;
        let hour = Duration::from_secs(3600);
        for (kept, key) in [
            (self.retain_orders, "retain_orders"),
            (self.retain_authorizations, "retain_authorizations"),
            (self.retain_versions, "retain_versions"),
            (self.retain_jobs, "retain_jobs"),
        ] {
            require(kept >= hour, key, "at least 1h is due")?;
        }
        Ok(())
    }
}
