//! Where managed certificates should be served: places to look at, and what was found there.

use certfleet_domain::{Endpoint, Identifier, ManagedId, WatchId, WatchPolicy};
use certfleet_management::views::WatchView;
use certfleet_management::{NewWatch, Refused, add_watch, remove_watch};
use certfleet_storage::Store;
use clap::Args;

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

/// Has it looked at.
pub async fn run(store: &Store, args: &WatchArgs, out: Output) -> Result<(), Failure> {
    let watch = loop {
        let managed = find(store, args.id).await?;
        let wish = NewWatch {
            endpoint: args.endpoint.clone(),
            name: args.name.clone(),
            policy: if args.repair {
                WatchPolicy::Repair
            } else {
                WatchPolicy::Alert
            },
        };
        let plan = add_watch(store, &managed, wish)?;
        match plan.carry_out(store, Operator::here().sender()).await {
            Ok(watch) => break watch,
            // A worker has the certificate in hand.
            Err(Refused::Meanwhile) => {}
            Err(refused) => return Err(refused.into()),
        }
    };
    let view = WatchView::from(&watch);
    out.show(&view, |sheet| {
        sheet.line(
            "a worker looks at it within ten seconds, and every five minutes: certfleet cert drift",
        );
    })
}

/// Lists where it is looked at.
pub async fn list(store: &Store, id: ManagedId, out: Output) -> Result<(), Failure> {
    let managed = find(store, id).await?;
    let found = store.watches.of(managed.id).await?;
    let all: Vec<WatchView> = found.iter().map(WatchView::from).collect();
    out.show(&all, |sheet| {
        let rows = all.iter().map(|one| {
            [
                one.id.clone(),
                one.endpoint.clone(),
                one.name.clone(),
                moment_or_none(one.looked_at),
                one.detail.clone().unwrap_or_default(),
            ]
        });
        sheet.table(["id", "where", "name", "looked at", "what"], rows);
    })
}

/// Has it looked at no more.
pub async fn remove(store: &Store, id: WatchId, out: Output) -> Result<(), Failure> {
    loop {
        let found = store.watches.find(id).await?;
        let watch = found.ok_or_else(|| Failure::not_found("watch", id))?;
        let plan = remove_watch(store, watch);
        match plan.carry_out(store, Operator::here().sender()).await {
            Ok(removed) => {
                let view = WatchView::from(&removed);
                return out.show(&view, |sheet| {
                    sheet.line(format_args!("{} is looked at no more", view.endpoint));
                });
            }
            // A worker looks at it at this moment.
            Err(Refused::Meanwhile) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Lists what is wrong.
pub async fn drift(store: &Store, out: Output) -> Result<(), Failure> {
    let found = store.watches.findings(MOST).await?;
    let all: Vec<WatchView> = found.iter().map(WatchView::from).collect();
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
