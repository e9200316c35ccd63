//! Where managed certificates should be served: places to look at, and what was found there.

use certfleet_audit::Act;
use certfleet_domain::{
    Clock as _, Endpoint, Identifier, ManagedId, SystemClock, SystemRng, Timestamp, Watch, WatchId,
    WatchPolicy,
};
use certfleet_storage::{CommitError, Store};
use clap::Args;
use serde::Serialize;

use super::find;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment, moment_or_none};

/// So many findings are listed at the most.
const MOST: i64 = 1000;

/// What to look at.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The managed certificate.
    id: ManagedId,
    /// Where it should be served, as workers reach it.
    #[arg(value_name = "HOST:PORT")]
    endpoint: Endpoint,
    /// Which of its names to ask for there; without it, its first one.
    #[arg(long, value_name = "NAME")]
    name: Option<Identifier>,
    /// Deliver it anew when something else is served; every hour at the most.
    #[arg(long)]
    repair: bool,
}

#[derive(Serialize)]
struct View {
    id: String,
    managed: String,
    endpoint: String,
    name: String,
    repair: bool,
    /// What is wrong there: `unreachable`, `expired`, `wrongName`, `formerVersion`, `otherIssuer`, `otherCertificate` or
    /// `incompleteChain`.
    drift: Option<&'static str>,
    detail: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    first_seen: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339::option")]
    last_seen: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339::option")]
    looked_at: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339::option")]
    repaired_at: Option<Timestamp>,
}

impl From<Watch> for View {
    fn from(watch: Watch) -> Self {
        let finding = watch.finding.as_ref();
        Self {
            id: watch.id.to_string(),
            managed: watch.managed.to_string(),
            endpoint: watch.endpoint.to_string(),
            name: watch.name.to_string(),
            repair: watch.policy == WatchPolicy::Repair,
            drift: finding.map(|finding| finding.drift.name()),
            detail: finding.map(|finding| finding.detail.clone()),
            first_seen: finding.map(|finding| finding.first_seen),
            last_seen: finding.map(|finding| finding.last_seen),
            looked_at: watch.looked_at,
            repaired_at: watch.repaired_at,
        }
    }
}

/// Has it looked at.
pub async fn run(store: &Store, args: &WatchArgs, out: Output) -> Result<(), Failure> {
    let managed = find(store, args.id).await?;
    let name = match &args.name {
        Some(name) if managed.names.contains(name) => Some(name.clone()),
        Some(name) => {
            let why = format!("{name} is none of its names; nothing was done");
            return Err(Failure::Invalid(why));
        }
        None => managed.names.first().cloned(),
    };
    let name = name.ok_or_else(|| Failure::new("it has no name"))?;
    let policy = if args.repair {
        WatchPolicy::Repair
    } else {
        WatchPolicy::Alert
    };
    let id = WatchId::generate(&SystemClock, &mut SystemRng);
    let served = (args.endpoint.clone(), name);
    let watch = Watch::new(id, managed.id, served, policy, SystemClock.now());
    let event = Operator::here()
        .event(Act::CreateWatch, format_args!("managed/{}", managed.id))
        .with_detail(&watch.endpoint);
    let unit = store.watches.insert(&watch)?.recording(&event)?;
    store.commit(unit).await.map_err(|error| match error {
        CommitError::Storage(error) => error.into(),
        CommitError::Changed { .. } | CommitError::Duplicate { .. } => {
            Failure::new("it is watched there already, under this name; nothing was done")
        }
    })?;
    let view = View::from(watch);
    out.show(&view, |sheet| {
        sheet.line(
            "a worker looks at it within ten seconds, and every five minutes: certfleet cert drift",
        );
    })
}

/// Lists what is wrong.
pub async fn drift(store: &Store, out: Output) -> Result<(), Failure> {
    let found = store.watches.findings(MOST).await?;
    let all: Vec<View> = found.into_iter().map(View::from).collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("what is watched serves what it should; `certfleet cert watch ID HOST:PORT` has a place watched");
            return;
        }
        let rows = all.iter().map(|one| {
            [
                one.endpoint.clone(),
                one.name.clone(),
                one.detail.clone().unwrap_or_default(),
                one.first_seen.map(moment).unwrap_or_default(),
                moment_or_none(one.last_seen),
                moment_or_none(one.repaired_at),
                one.managed.clone(),
            ]
        });
        let heads = ["where", "name", "what", "since", "seen last", "delivered anew", "certificate"];
        sheet.table(heads, rows);
    })
}
