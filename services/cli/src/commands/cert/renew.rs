//! A renewal is asked for, be it due or not.

use certfleet_audit::Act;
use certfleet_domain::{Clock as _, ManagedId, SystemClock};
use certfleet_jobs::Job;
use certfleet_storage::{CommitError, Store};

use super::find;
use super::view::ManagedView;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Has it renewed now.
pub async fn run(store: &Store, id: ManagedId, out: Output) -> Result<(), Failure> {
    let forced = loop {
        let now = SystemClock.now();
        let forced = find(store, id).await?.force(now).looked_after(now);
        let event = Operator::here().event(Act::ForceRenewal, format_args!("managed/{id}"));
        let job = Job::RenewManaged {
            managed: id,
            round: forced.round,
        };
        let unit = store.fleet.update(&forced)?.and(store.jobs.enqueue(&job)?);
        match store.commit(unit.recording(&event)?).await {
            Ok(()) => break forced,
            Err(CommitError::Storage(error)) => return Err(error.into()),
            // A worker has it in hand: once more, over what it has written.
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {}
        }
    };
    let view = ManagedView::of(&forced);
    out.show(&view, |sheet| {
        sheet.line(format_args!("a worker renews it: certfleet cert show {id}"));
    })
}
