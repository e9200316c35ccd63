//! The managed certificates that there are.

use certfleet_domain::{Clock as _, ManagedId, SystemClock};
use certfleet_management::views::CertificateView;
use certfleet_storage::{Store, WantedManaged};
use clap::Args;

use super::view;
use crate::failure::Failure;
use crate::output::Output;

/// Which of them.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those that have failed, and were not had since.
    #[arg(long, conflicts_with = "expired")]
    failing: bool,
    /// Only those whose certificate has expired.
    #[arg(long)]
    expired: bool,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    /// Those that were added after this one: the last of the page before.
    #[arg(long, value_name = "ID")]
    after: Option<ManagedId>,
}

/// Lists them, in the order in which they were added.
pub async fn run(store: &Store, args: &ListArgs, out: Output) -> Result<(), Failure> {
    let wanted = if args.failing {
        WantedManaged::Failing(1)
    } else if args.expired {
        WantedManaged::Expired(SystemClock.now())
    } else {
        WantedManaged::All
    };
    let found = store.fleet.list(wanted, args.after, args.limit).await?;
    let now = SystemClock.now();
    let all: Vec<CertificateView> = found
        .iter()
        .map(|managed| CertificateView::of(managed, now))
        .collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line(match wanted {
                WantedManaged::All => {
                    "there is none; `certfleet cert add NAME --upstream AUTHORITY` adds one"
                }
                WantedManaged::Expired(_) | WantedManaged::Failing(_) => "there is none",
            });
            return;
        }
        view::table(sheet, &all);
        if i64::try_from(all.len()) == Ok(args.limit)
            && let Some(last) = all.last()
        {
            sheet.line(format_args!("there may be more: --after {}", last.id));
        }
    })
}
