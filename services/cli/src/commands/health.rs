//! `certfleet health`: how the cluster is, as its database tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use certfleet_data_kit::{condition_of_authorities, condition_of_queue, condition_of_switches};
use certfleet_domain::{Authority, Clock, Setback, SystemClock};
use certfleet_pki::validity_of_certificate;
use certfleet_service_kit::{Condition, Status};
use certfleet_storage::jobs::{JobState, Wanted};
use certfleet_storage::{Processes, SCHEDULER, Seen, Store, WantedManaged};
use serde::Serialize;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::{Output, moment};

/// The services that a cluster does not work without.
const SERVICES: [&str; 3] = ["api", "worker", "scheduler"];
/// An issuer that ends sooner wants a successor.
const ENDS_SOON: time::Duration = time::Duration::days(60);

#[derive(Serialize)]
struct Answer {
    status: Status,
    parts: BTreeMap<String, Condition>,
}

/// Shows how each part is. A failure if one that counts is bad.
pub async fn run(config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    let parts = parts(&store, &SERVICES).await?;
    let worst = parts.values().map(|condition| condition.status).max();
    let status = worst.unwrap_or(Status::Ok);
    let answer = Answer { status, parts };
    out.show(&answer, |sheet| {
        let rows = answer.parts.iter().map(|(name, condition)| {
            let detail = condition.detail.clone().unwrap_or_default();
            [name.clone(), word(condition.status).to_owned(), detail]
        });
        sheet.table(["part", "status", ""], rows);
    })?;
    match status {
        Status::Ok | Status::Degraded => Ok(()),
        Status::Bad => Err(Failure::new("the cluster is not well: see what is bad")),
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Degraded => "degraded",
        Status::Bad => "bad",
    }
}

/// How each part is, of the services these.
pub async fn parts(
    store: &Store,
    services: &[&str],
) -> Result<BTreeMap<String, Condition>, Failure> {
    let mut parts = BTreeMap::new();
    let seen = store.processes.census().await?;
    for service in services {
        parts.insert((*service).to_owned(), condition_of_service(service, &seen));
    }
    let leader = match store.leadership(SCHEDULER).holder().await? {
        Some((id, term)) => Condition::ok_with(format!("{id}, term {}", term.0)),
        None => Condition::degraded("no scheduler leads: nothing is cleaned up or brought back"),
    };
    parts.insert("leader".to_owned(), leader);
    parts.insert(
        "queue".to_owned(),
        condition_of_queue(&store.jobs.depth().await?),
    );
    parts.insert("dead jobs".to_owned(), condition_of_dead_jobs(store).await?);
    let switches = store.switches.read().await?;
    parts.insert("switches".to_owned(), condition_of_switches(&switches));
    let healths = store.authorities.healths().await?;
    parts.insert("authorities".to_owned(), condition_of_authorities(&healths));
    for receiver in store.audit().receivers().await? {
        let part = format!("siem {receiver}");
        parts.insert(part, condition_of_receiver(store, &receiver).await?);
    }
    if let Some(condition) = condition_of_fleet(store).await? {
        parts.insert("fleet".to_owned(), condition);
    }
    for authority in store.authorities.all().await? {
        let name = format!("authority {}", authority.name);
        parts.insert(name, condition_of_authority(&authority)?);
    }
    Ok(parts)
}

/// What is not sent is not lost; but whoever watches the receiver sees nothing of it.
async fn condition_of_receiver(store: &Store, receiver: &str) -> Result<Condition, Failure> {
    let audit = store.audit();
    let forwarded = audit.forwarded(receiver).await?;
    let behind = audit.head().await?.size().saturating_sub(forwarded.next);
    Ok(match forwarded.trouble {
        Some(why) => {
            let since = forwarded.since.as_secs();
            Condition::degraded(format!("{behind} entries behind since {since} s: {why}"))
        }
        None if behind == 0 => Condition::ok_with("has all entries"),
        None => Condition::ok_with(format!("{behind} entries to come")),
    })
}

fn condition_of_service(service: &str, seen: &[Seen]) -> Condition {
    let ours = || seen.iter().filter(|process| process.service == service);
    let is_alive = |process: &&Seen| process.silent_for <= Processes::ALIVE_WITHIN;
    let alive = ours().filter(is_alive).count();
    let versions: BTreeSet<&str> = ours()
        .filter(is_alive)
        .map(|process| process.version.as_str())
        .collect();
    let versions = versions.into_iter().collect::<Vec<_>>().join(" and ");
    // Those that end well say so; what has gone without a word is told for a day.
    let day = Duration::from_secs(24 * 3600);
    let lost: Vec<String> = ours()
        .filter(|process| !is_alive(process) && process.silent_for < day)
        .map(|process| format!("{} since {} s", process.id, process.silent_for.as_secs()))
        .collect();
    if alive == 0 {
        Condition::bad("none is alive")
    } else if lost.is_empty() {
        Condition::ok_with(format!("{alive} alive, {versions}"))
    } else {
        let lost = lost.join(", ");
        Condition::degraded(format!("{alive} alive, {versions}; silent: {lost}"))
    }
}

async fn condition_of_dead_jobs(store: &Store) -> Result<Condition, Failure> {
    const MOST: i64 = 100;
    let wanted = Wanted {
        state: JobState::Dead,
        kind: None,
        most: MOST,
    };
    let (dead, unfit) = store.jobs.list(wanted).await?;
    let count = dead.len() + unfit.len();
    Ok(match i64::try_from(count) {
        Ok(0) => Condition::ok(),
        Ok(MOST) => Condition::degraded(format!("{MOST} or more: certfleet jobs list")),
        _ => Condition::degraded(format!("{count}: certfleet jobs list --state dead")),
    })
}

/// The managed certificates, if there are any.
async fn condition_of_fleet(store: &Store) -> Result<Option<Condition>, Failure> {
    let count = async |wanted| store.fleet.count(wanted).await;
    let all = count(WantedManaged::All).await?;
    if all == 0 {
        return Ok(None);
    }
    let expired = count(WantedManaged::Expired(SystemClock.now())).await?;
    let failing = count(WantedManaged::Failing(Setback::WANTS_A_PERSON)).await?;
    let condition = if expired + failing == 0 {
        Condition::ok_with(format!("managed certificates: {all}"))
    } else {
        Condition::degraded(format!(
            "of {all} managed certificates, {expired} have expired and {failing} fail day by day: \
             certfleet cert list --expired, --failing"
        ))
    };
    Ok(Some(condition))
}

fn condition_of_authority(authority: &Authority) -> Result<Condition, Failure> {
    let (_, end) = validity_of_certificate(&authority.issuer.certificate)?;
    let told = format!("its issuer ends {}", moment(end));
    let now = SystemClock.now();
    Ok(if end <= now {
        Condition::bad(told)
    } else if end - now < ENDS_SOON {
        Condition::degraded(told)
    } else {
        Condition::ok_with(told)
    })
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{ServerId, SystemRng};

    use super::*;

    fn seen(service: &str, version: &str, silent_for: u64) -> Seen {
        Seen {
            id: ServerId::generate(&SystemClock, &mut SystemRng),
            service: service.to_owned(),
            version: version.to_owned(),
            keks: None,
            silent_for: Duration::from_secs(silent_for),
        }
    }

    #[test]
    fn a_service_is_as_well_as_those_that_are_seen_of_it() {
        let two = [
            seen("api", "1", 3),
            seen("api", "2", 10),
            seen("worker", "1", 1),
        ];
        let due = Condition::ok_with("2 alive, 1 and 2");
        assert_eq!(condition_of_service("api", &two), due);
        let lost = [
            seen("api", "1", 3),
            seen("api", "1", 11),
            seen("api", "1", 100_000),
        ];
        let condition = condition_of_service("api", &lost);
        assert_eq!(condition.status, Status::Degraded);
        let due = format!("1 alive, 1; silent: {} since 11 s", lost[1].id);
        assert_eq!(condition.detail, Some(due));
        let none = condition_of_service("scheduler", &lost);
        assert_eq!(none, Condition::bad("none is alive"));
    }
}
