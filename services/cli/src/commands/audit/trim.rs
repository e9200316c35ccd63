//! The beginning of the log goes, on request.

use certfleet_audit::{Act, Head};
use certfleet_domain::Timestamp;
use certfleet_storage::{MayGo, Store, Trimmed};
use clap::Args;
use serde::Serialize;

use crate::commands::parse_moment;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment};

/// What is to go.
#[derive(Debug, Args)]
pub struct TrimArgs {
    /// Entries of before this moment go, such as 2026-01-31T00:00:00Z, as far as whole ranges between signed checkpoints are
    /// older, and every receiver has them.
    #[arg(long, value_name = "MOMENT", value_parser = parse_moment)]
    before: Timestamp,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Answer {
    /// The number of the first entry that is kept.
    begins: u64,
    /// How many entries went.
    gone: u64,
}

/// Lets them go. What is not what was signed stays.
pub async fn run(store: &Store, args: &TrimArgs, out: Output) -> Result<(), Failure> {
    let audit = store.audit();
    let before = args.before;
    if !args.yes {
        return Err(Failure::Invalid(format!(
            "nothing was done: with --yes, entries of before {} are removed for good; keep them elsewhere first: certfleet audit export",
            moment(before)
        )));
    }
    let began = audit.start().await?.size();
    let mut below = u64::MAX;
    for receiver in audit.receivers().await? {
        below = below.min(audit.forwarded(&receiver).await?.next);
    }
    let record = |start: &Head| {
        Operator::here()
            .event(Act::TrimAudit, format_args!("audit/{}", start.size()))
            .with_detail(format_args!("entries of before {before}"))
    };
    loop {
        match audit.trim(MayGo { before, below }, record).await? {
            Trimmed::To(_) => {}
            Trimmed::Nothing => break,
            Trimmed::Refused(why) => return Err(Failure::Tampered(why)),
        }
    }
    let begins = audit.start().await?.size();
    let answer = Answer {
        begins,
        gone: begins.saturating_sub(began),
    };
    out.show(&answer, |sheet| {
        sheet.line(format_args!(
            "{} entries are gone; the audit trail begins with entry {}",
            answer.gone, answer.begins
        ));
    })
}
