//! When to try again.

use std::time::Duration;

use rand::{Rng, RngCore};

use crate::job::JobKind;
use crate::outcome::Outcome;

/// Exponential backoff with jitter, and an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first attempt.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// After this many attempts the job is dead.
    pub attempts: u32,
}

impl Backoff {
    /// The backoff of this kind of job.
    pub fn of(kind: JobKind) -> Self {
        match kind {
            // A client waits: be quick, and give up before it does.
            JobKind::ValidateChallenge | JobKind::SignOcspResponse => Self {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(30),
                attempts: 8,
            },
            JobKind::SignCertificate => Self {
                first: Duration::from_millis(500),
                longest: Duration::from_secs(60),
                attempts: 20,
            },
            // An authority may take its time; what fails for good is the certificate's setback, and tried again by the brain.
            JobKind::RenewManaged => Self {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(60),
                attempts: 30,
            },
            JobKind::IssueServerCertificate => Self {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(300),
                attempts: 50,
            },
            // The next run does what this one did not.
            JobKind::RecoverWork
            | JobKind::CheckAuthorities
            | JobKind::SequenceEvents
            | JobKind::ForwardEvents
            | JobKind::PublishCrls
            | JobKind::RewrapSecrets
            | JobKind::PlanRenewals
            | JobKind::UpdateDns
            | JobKind::ScanEndpoints
            | JobKind::TellNotices
            | JobKind::Discover
            | JobKind::ApplyRetention => Self {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(60),
                attempts: 10,
            },
        }
    }

    /// What becomes of a job whose attempt number `attempt` (from 1) met trouble that may pass.
    ///
    /// The wait doubles with each attempt up to the longest, and lies between half of that and all of it, by chance.
    pub fn after(&self, attempt: u32, error: String, rng: &mut dyn RngCore) -> Outcome {
        if attempt >= self.attempts {
            let error = format!("given up after {attempt} attempts: {error}");
            return Outcome::Fail { error };
        }
        let doublings = attempt.saturating_sub(1).min(20);
        let wait = self.first.saturating_mul(1 << doublings).min(self.longest);
        Outcome::Retry {
            after: wait.mul_f64(rng.random_range(0.5..=1.0)),
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_within_bounds_and_end(attempt in 1_u32..100, seed: u64, kind in 0..JobKind::ALL.len()) {
            let backoff = Backoff::of(JobKind::ALL[kind]);
            let mut rng = StdRng::seed_from_u64(seed);
            match backoff.after(attempt, "trouble".into(), &mut rng) {
                Outcome::Retry { after, .. } => {
                    prop_assert!(attempt < backoff.attempts);
                    prop_assert!(after <= backoff.longest);
                    prop_assert!(after >= backoff.first / 2);
                }
                Outcome::Fail { error } => {
                    prop_assert!(attempt >= backoff.attempts);
                    prop_assert!(error.contains("trouble"));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
