//! What the probes ask of the data.

use std::time::Duration;

use certfleet_domain::{Clock as _, SystemClock};
use certfleet_service_kit::{Condition, Health, Importance};
use certfleet_storage::{AuthorityHealth, Store, Vault};
use tokio::time::timeout;

use crate::listed;
use crate::pressure::{Pressed, Pressure};

/// How long the database, or a KEK, may take to answer; less than a part may.
const ANSWERS_WITHIN: Duration = Duration::from_millis(600);

/// The database, as a critical part.
pub fn check_database(store: &Store, health: &Health) {
    let store = store.clone();
    health.register("database", Importance::Critical, move || {
        let store = store.clone();
        async move { condition_of_database(&store).await }
    });
}

/// Whether the database answers, and how its connections are.
pub async fn condition_of_database(store: &Store) -> Condition {
    let pool = store.pool().state();
    let pressure = Pressure::of(pool);
    let pressed = Pressed { pressure, pool };
    if pressure == Pressure::Exhausted {
        // To ask the database would be to wait with the others.
        return Condition::bad(pressed.to_string());
    }
    // Its own time, so that what is known of the pool is told as well.
    let answer = timeout(ANSWERS_WITHIN, store.ping()).await;
    match answer {
        Ok(Ok(())) if pressure > Pressure::None => Condition::degraded(pressed.to_string()),
        Ok(Ok(())) => Condition::ok_with(pressed.to_string()),
        Ok(Err(error)) => Condition::bad(format!("it does not answer: {error}; {pressed}")),
        Err(_) => Condition::bad(format!("no answer within {ANSWERS_WITHIN:?}; {pressed}")),
    }
}

/// The KEKs, as a critical part.
pub fn check_keks(vault: &Vault, health: &Health) {
    let vault = vault.clone();
    health.register("kek", Importance::Critical, move || {
        let vault = vault.clone();
        async move {
            match vault.keks_not_at_hand(ANSWERS_WITHIN).await {
                Ok(none) if none.is_empty() => Condition::ok(),
                Ok(keks) => Condition::bad(format!(
                    "secrets are sealed under KEKs that are not at hand: {}",
                    listed(&keks)
                )),
                Err(error) => Condition::bad(format!("which KEKs are due is not known: {error}")),
            }
        }
    });
}

/// The authorities, as an auxiliary part: as a worker found them, once for the whole cluster.
pub fn check_authorities(store: &Store, health: &Health) {
    let store = store.clone();
    health.register("authorities", Importance::Auxiliary, move || {
        let store = store.clone();
        async move {
            match store.authorities.healths().await {
                Ok(healths) => condition_of_authorities(&healths),
                Err(error) => Condition::bad(format!("they are not known: {error}")),
            }
        }
    });
}

/// CRLs, as an auxiliary part: half of a list's time is over when the next is due, so that one near its end was not renewed
/// for long.
pub fn check_crls(store: &Store, health: &Health) {
    let store = store.clone();
    health.register("crls", Importance::Auxiliary, move || {
        let store = store.clone();
        async move {
            match store.crls.first_to_end().await {
                Ok(first) => condition_of_crls(first.map(|first| first - SystemClock.now())),
                Err(error) => Condition::bad(format!("they are not known: {error}")),
            }
        }
    });
}

/// Who would go by a list that ends within this, has little time left to get the next.
const CRL_LEFT: time::Duration = time::Duration::minutes(20);

/// How the CRLs are, by the time that the first to end has left.
pub fn condition_of_crls(left: Option<time::Duration>) -> Condition {
    match left {
        None => Condition::ok_with("none are signed yet".to_owned()),
        Some(left) if left > CRL_LEFT => {
            Condition::ok_with(format!("good for {} min at least", left.whole_minutes()))
        }
        Some(left) if left.is_positive() => Condition::degraded(format!(
            "the first ends in {} s and is not renewed: is there a worker, and does it sign?",
            left.whole_seconds()
        )),
        Some(over) => Condition::bad(format!("one is over since {} s", -over.whole_seconds())),
    }
}

/// Who was not asked for longer than this is not known to be well.
const ASKED_WITHIN: Duration = Duration::from_secs(300);

/// How the authorities are, by what was found last.
pub fn condition_of_authorities(healths: &[AuthorityHealth]) -> Condition {
    let mut well = true;
    let mut lines = Vec::with_capacity(healths.len());
    for health in healths {
        let (fine, line) = match (&health.trouble, health.checked) {
            (_, None) => (true, "not asked yet".to_owned()),
            (Some(trouble), _) => (false, format!("cannot sign: {trouble}")),
            (None, Some(ago)) => (
                ago <= ASKED_WITHIN,
                format!("could sign {} s ago", ago.as_secs()),
            ),
        };
        well &= fine;
        lines.push(format!("{}: {line}", health.name));
    }
    let detail = lines.join("; ");
    if well {
        Condition::ok_with(detail)
    } else {
        Condition::degraded(detail)
    }
}

/// The queue, as an auxiliary part: degraded when something has waited for too long.
pub fn check_queue(store: &Store, health: &Health) {
    let store = store.clone();
    health.register("queue", Importance::Auxiliary, move || {
        let store = store.clone();
        async move {
            match store.jobs.depth().await {
                Ok(depths) => condition_of_queue(&depths),
                Err(error) => Condition::bad(format!("it is not known: {error}")),
            }
        }
    });
}

/// What has waited for longer than this wants a look.
const WAITED_TOO_LONG: Duration = Duration::from_secs(120);

/// How the queue is, by its depth.
pub fn condition_of_queue(depths: &[(String, i64, Duration)]) -> Condition {
    let jobs: i64 = depths.iter().map(|(_, count, _)| count).sum();
    let oldest = depths.iter().max_by_key(|(_, _, age)| *age);
    match oldest {
        Some((kind, _, age)) if *age > WAITED_TOO_LONG => Condition::degraded(format!(
            "{jobs} jobs, the oldest ({kind}) since {} s",
            age.as_secs()
        )),
        Some(_) | None => Condition::ok_with(format!("{jobs} jobs")),
    }
}

#[cfg(test)]
mod tests {
    use certfleet_service_kit::Status;

    use super::*;

    #[test]
    fn an_authority_that_cannot_sign_or_was_not_asked_for_long_wants_a_look() {
        let health = |trouble: Option<&str>, checked| AuthorityHealth {
            name: "default".to_owned(),
            trouble: trouble.map(str::to_owned),
            checked,
        };
        let second = Some(Duration::from_secs(1));
        for (one, well) in [
            (health(None, None), true),
            (health(None, second), true),
            (health(Some("no key"), second), false),
            (health(None, Some(ASKED_WITHIN * 2)), false),
        ] {
            let condition = condition_of_authorities(&[health(None, second), one]);
            assert_eq!(condition.status == Status::Ok, well, "{condition:?}");
        }
    }

    #[test]
    fn a_queue_is_degraded_by_its_oldest_job_alone() {
        let depth =
            |kind: &str, count, seconds| (kind.to_owned(), count, Duration::from_secs(seconds));
        assert_eq!(condition_of_queue(&[]), Condition::ok_with("0 jobs"));
        let busy = [depth("signCertificate", 100_000, 5)];
        assert_eq!(condition_of_queue(&busy), Condition::ok_with("100000 jobs"));
        let stuck = [
            depth("signCertificate", 1, 121),
            depth("validateChallenge", 2, 3),
        ];
        let due = Condition::degraded("3 jobs, the oldest (signCertificate) since 121 s");
        assert_eq!(condition_of_queue(&stuck), due);
    }
}
