//! Rate limits at the door: what a request is charged before it does anything, and what it is told when that is refused.
//!
//! All limits that a request falls under are charged at once, each with a round trip of its own, side by side. If one of
//! them refuses, the others are given back; so are all if the request then does nothing. A request that ends in between,
//! with its connection or its process, has been charged for nothing: limits may be too strict, never too lax.

use std::time::Duration;

use certfleet_domain::{
    AccountId, AttemptTerms, Charge, Identifier, Limit, LimitKey, Problem, ProblemKind, Rate,
    Timestamp, Verdict,
};
use certfleet_service_kit::settings::Limits;
use certfleet_storage::{CommitError, LimitStates, StorageError};
use futures_util::StreamExt as _;
use futures_util::stream;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::watch;

use crate::error::ApiError;

/// The most charges of one request at once: an order with a hundred domains is not to take all connections.
const AT_ONCE: usize = 8;

/// What clients are told to wait that only a person can help.
const PAUSED_FOR: Duration = Duration::from_secs(86_400);

/// The rate limits, as the settings have them by now.
pub struct RateLimits {
    settings: watch::Receiver<Limits>,
    states: LimitStates,
    admitted: IntCounterVec,
    refused: IntCounterVec,
}

/// Why a request is refused, and for how long.
#[derive(Debug)]
pub struct Refusal {
    /// What the client is told.
    pub problem: Problem,
    /// After what time it may come again.
    pub wait: Duration,
}

/// What a request has been charged.
#[derive(Default)]
#[must_use = "it is to be settled when the request's fate is known"]
pub struct Admission(Vec<(LimitKey, Charge)>);

/// What was asked of one limit, and what became of it.
struct Charged {
    key: LimitKey,
    rate: Rate,
    verdict: Result<Verdict, StorageError>,
}

impl RateLimits {
    /// The limits of these settings, counted in `registry`.
    ///
    /// # Errors
    /// If counters of the same names are registered already.
    pub fn new(
        settings: watch::Receiver<Limits>,
        states: LimitStates,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let counter = |name, help| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(name, help), &["limit"])?;
            for limit in Limit::ALL {
                counter.with_label_values(&[limit.name()]);
            }
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            settings,
            states,
            admitted: counter(
                "certfleet_rate_limit_admitted_total",
                "Charges that a rate limit has let through",
            )?,
            refused: counter(
                "certfleet_rate_limited_total",
                "Requests that a rate limit or a pause has refused",
            )?,
        })
    }

    /// Charges all of these for which there is a limit, or none.
    pub async fn admit(&self, keys: Vec<LimitKey>, now: Timestamp) -> Result<Admission, ApiError> {
        let due: Vec<(LimitKey, Rate)> = {
            let settings = self.settings.borrow();
            keys.into_iter()
                .filter_map(|key| settings.rate(key.limit).map(|rate| (key, rate)))
                .collect()
        };
        let mut charged = Vec::with_capacity(due.len());
        let (first, rest) = in_order(due);
        for some in [first, rest] {
            let verdicts = stream::iter(some)
                .map(async |(key, rate)| Charged {
                    verdict: self.states.charge(&key, rate).await,
                    key,
                    rate,
                })
                .buffer_unordered(AT_ONCE)
                .collect::<Vec<_>>();
            charged.extend(verdicts.await);
            let is_admitted = |one: &Charged| matches!(one.verdict, Ok(Verdict::Admitted(_)));
            if !charged.iter().all(is_admitted) {
                break;
            }
        }
        let mut admission = Admission::default();
        let mut refusals = Vec::new();
        let mut trouble = None;
        for Charged { key, rate, verdict } in charged {
            match verdict {
                Ok(Verdict::Admitted(charge)) => admission.0.push((key, charge)),
                Ok(Verdict::Refused(wait)) => refusals.push(refusal(&key, rate, wait, now)),
                Err(error) => trouble = Some(error),
            }
        }
        if let Some(error) = trouble {
            self.give_back(admission).await;
            return Err(error.into());
        }
        if !refusals.is_empty() {
            self.give_back(admission).await;
            return Err(self.refused(refusals));
        }
        for (key, _) in &admission.0 {
            self.admitted.with_label_values(&[key.limit.name()]).inc();
        }
        Ok(admission)
    }

    /// Gives back what was charged if the request's unit was surely not applied.
    pub async fn settle(&self, admission: Admission, fate: &Result<(), CommitError>) {
        if fate.as_ref().is_err_and(CommitError::is_conflict) {
            self.give_back(admission).await;
        }
    }

    /// Gives back what was charged.
    pub async fn give_back(&self, admission: Admission) {
        stream::iter(admission.0)
            .for_each_concurrent(AT_ONCE, async |(key, charge)| {
                if let Err(error) = self.states.give_back(&key, charge).await {
                    let limit = key.limit.name();
                    tracing::warn!(%error, limit, "a charge is not given back, and will drain");
                }
            })
            .await;
    }

    /// Refuses names that are paused for the account, and those that have no attempt left.
    pub async fn require_attempts(
        &self,
        account: AccountId,
        identifiers: &[Identifier],
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let (rate, pause_after) = {
            let settings = self.settings.borrow();
            (settings.failed_validations, settings.pause_after)
        };
        if identifiers.is_empty() || (rate.is_none() && pause_after.is_none()) {
            return Ok(());
        }
        let standings = self.states.standings(account, identifiers).await?;
        let mut refusals = Vec::new();
        for (identifier, standing) in identifiers.iter().zip(standings) {
            if standing.paused && pause_after.is_some() {
                refusals.push(paused(account, identifier));
            } else if let Some(rate) = rate
                && let Verdict::Refused(wait) = standing.judge(rate)
            {
                let key = LimitKey::attempts(account, identifier);
                refusals.push(refusal(&key, rate, wait, now));
            }
        }
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(self.refused(refusals))
        }
    }

    /// Charges an attempt to prove a name; gives the terms that it goes under, too.
    pub async fn begin_attempt(
        &self,
        account: AccountId,
        identifier: &Identifier,
        now: Timestamp,
    ) -> Result<(Admission, AttemptTerms), ApiError> {
        let identifiers = std::slice::from_ref(identifier);
        self.require_attempts(account, identifiers, now).await?;
        let pause_after = self.settings.borrow().pause_after;
        let attempt = LimitKey::attempts(account, identifier);
        let admission = self.admit(vec![attempt], now).await?;
        let terms = AttemptTerms {
            charge: admission.0.first().map(|(_, charge)| *charge),
            pause_after,
        };
        Ok((admission, terms))
    }

    /// One answer of several refusals: it holds for as long as the longest of them.
    fn refused(&self, refusals: Vec<(&'static str, Refusal)>) -> ApiError {
        let mut limits: Vec<&str> = refusals.iter().map(|(limit, _)| *limit).collect();
        limits.sort_unstable();
        limits.dedup();
        for limit in limits {
            self.refused.with_label_values(&[limit]).inc();
        }
        let wait = refusals.iter().map(|(_, refusal)| refusal.wait).max();
        let problems = refusals.into_iter().map(|(_, refusal)| refusal.problem);
        let wait = wait.unwrap_or_default();
        match Problem::of_several(problems.collect()) {
            Some(problem) => ApiError::RateLimited(Box::new(Refusal { problem, wait })),
            None => ApiError::Internal("a refusal without a reason".to_owned()),
        }
    }
}

/// Whole seconds, as `Retry-After` counts them, and none too few.
pub fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

fn refusal(key: &LimitKey, rate: Rate, wait: Duration, now: Timestamp) -> (&'static str, Refusal) {
    let (limit, words) = (key.limit.name(), &key.words);
    let seconds = whole_seconds(wait);
    let again = now + Duration::from_secs(seconds);
    let again = again.replace_nanosecond(0).unwrap_or(again);
    let what = match key.limit {
        Limit::AccountsPerAddress => "new accounts from",
        Limit::OrdersPerAccount => "new orders of",
        Limit::OrdersPerDomain => "new orders for names in",
        Limit::OrdersPerNameSet => "new orders for",
        Limit::FailedValidations => "failed validations of",
    };
    let detail = format!(
        "too many {what} {words}: the limit {limit} is {rate}; try again in {seconds} s, at {again}"
    );
    (
        limit,
        Refusal {
            problem: about(key.about.as_ref(), detail),
            wait,
        },
    )
}

fn paused(account: AccountId, identifier: &Identifier) -> (&'static str, Refusal) {
    let name = LimitKey::proven_name(identifier);
    let detail = format!(
        "{name} is paused for this account (limit pause_after): its validations have failed too often in a row. Once the \
         reason is mended, ask the authority's operator to lift this: certfleet limits lift {account} {name}"
    );
    let refusal = Refusal {
        problem: about(Some(identifier), detail),
        wait: PAUSED_FOR,
    };
    ("pause_after", refusal)
}

fn about(identifier: Option<&Identifier>, detail: String) -> Problem {
    let problem = Problem::new(ProblemKind::RateLimited, detail);
    match identifier {
        Some(identifier) => problem.about(identifier.clone()),
        None => problem,
    }
}

type Due = Vec<(LimitKey, Rate)>;

/// What is charged first and, if that is admitted, what then. All at once; but who orders for many domains is charged for
/// the order itself before, so that one who has used that up takes nothing from limits that others share.
fn in_order(due: Due) -> (Due, Due) {
    if due.len() <= AT_ONCE {
        return (due, Vec::new());
    }
    due.into_iter()
        .partition(|(key, _)| key.limit == Limit::OrdersPerAccount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up() {
        for (milliseconds, due) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (35_999, 36)] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), due);
        }
    }
}
