//! A renewal is asked for, be it due or not.

use certfleet_domain::{Clock as _, ManagedId, SystemClock};
use certfleet_management::renew_certificate;
use certfleet_management::views::CertificateView;
use certfleet_storage::Store;

use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Has it renewed now.
pub async fn run(store: &Store, id: ManagedId, out: Output) -> Result<(), Failure> {
    let forced = renew_certificate(store, Operator::here().sender(), id).await?;
    let view = CertificateView::of(&forced, SystemClock.now());
    out.show(&view, |sheet| {
        sheet.line(format_args!("a worker renews it: certfleet cert show {id}"));
    })
}
