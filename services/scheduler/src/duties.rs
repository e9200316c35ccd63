//! What a leader sees to, again and again: the duties, one file each. A duty's run is a job; workers do it.

mod audit;
mod authorities;
mod crls;
mod discovery;
mod dns;
mod drift;
mod forwarding;
mod keks;
mod notices;
mod recovery;
mod renewals;
mod retention;

use std::time::Duration;

use certfleet_jobs::Job;
use certfleet_service_kit::settings::{Revocation, Scheduler, Siem};

use crate::slot::Slot;

/// Something that is to be done every so often.
pub struct Duty {
    /// Its name in metrics and `/healthz`.
    pub name: &'static str,
    /// How often; whole seconds.
    pub every: Duration,
    /// The job of the run of a slot, which is part of its key.
    pub job: Box<dyn Fn(Slot) -> Job + Send + Sync>,
}

/// All duties there are; whoever has nobody to send the audit trail to does not send it, and whoever does not say where
/// CRLs are to be had signs none.
pub fn all(settings: &Scheduler, siem: &Siem, revocation: &Revocation) -> Vec<Duty> {
    let mut duties = vec![
        recovery::duty(),
        authorities::duty(),
        audit::duty(),
        keks::duty(),
        renewals::duty(),
        dns::duty(),
        drift::duty(),
        notices::duty(),
        discovery::duty(),
        retention::duty(settings),
    ];
    if siem.url.is_some() {
        duties.push(forwarding::duty());
    }
    if revocation.url.is_some() {
        duties.push(crls::duty());
    }
    duties
}
