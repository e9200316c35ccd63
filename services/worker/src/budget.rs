//! An authority's budget, shared by all workers: what an order is charged, or for how long it has to wait (FLT-5).

use std::time::Duration;

use certfleet_domain::{Charge, Identifier, LimitKey, Rate, Upstream, Verdict};
use certfleet_storage::{LimitStates, StorageError};

/// What an order was charged.
#[derive(Default)]
pub struct Charged(Vec<(LimitKey, Charge)>);

/// An order that has to wait.
pub struct Exhausted {
    /// For so long, at the least.
    pub wait: Duration,
    /// What is used up.
    pub why: String,
}

/// Charges one order for these names, or none of it.
pub async fn charge(
    limits: &LimitStates,
    upstream: &Upstream,
    names: &[Identifier],
) -> Result<Result<Charged, Exhausted>, StorageError> {
    let mut charged = Charged::default();
    for (key, rate) in upstream.budget.charges(&upstream.name, names) {
        match limits.charge(&key, rate).await? {
            Verdict::Admitted(charge) => charged.0.push((key, charge)),
            Verdict::Refused(wait) => {
                let why = used_up(upstream, &key, rate);
                give_back(limits, charged).await;
                return Ok(Err(Exhausted { wait, why }));
            }
        }
    }
    Ok(Ok(charged))
}

/// Gives back what was charged for an order that surely was not placed.
pub async fn give_back(limits: &LimitStates, charged: Charged) {
    for (key, charge) in charged.0 {
        if let Err(error) = limits.give_back(&key, charge).await {
            let limit = key.limit.name();
            tracing::warn!(%error, limit, "a charge is not given back, and will drain");
        }
    }
}

fn used_up(upstream: &Upstream, key: &LimitKey, rate: Rate) -> String {
    format!(
        "the budget of {} is used up: {rate} {}",
        upstream.name, key.words
    )
}
