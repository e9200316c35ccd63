//! What is done for each kind of job, one file each.
//!
//! A handler reads what is stored, does its work with no transaction open, and writes the result together with the
//! end of its lease. It may be killed anywhere and run again from the start.

mod apply_retention;
mod check_authorities;
mod discover;
mod forward_events;
mod issue_server_certificate;
mod plan_renewals;
mod proving;
mod publish_crls;
mod recover_work;
mod renew_managed;
mod rewrap_secrets;
mod scan_endpoints;
mod sequence_events;
mod sign_certificate;
mod sign_ocsp_response;
mod tell_notices;
mod update_dns;
mod validate_challenge;

use std::sync::Arc;
use std::time::Duration;

use certfleet_domain::{Clock, InvalidTransition, Timestamp};
use certfleet_jobs::{Job, Lease, Outcome};
use certfleet_service_kit::settings::{Notices, Siem};
use certfleet_storage::{CommitError, Keep, StorageError, Store, Unit, Vault, VaultError};
use certfleet_tls_probe::Prober;
use certfleet_validation::Validator;
use tokio::sync::watch;

use crate::issuing::Issuing;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::revoking::Revoking;
use crate::upstreams::Upstreams;

/// What handlers work with.
pub struct Handlers {
    /// The database.
    pub store: Store,
    /// The secrets.
    pub vault: Vault,
    /// What signs.
    pub issuing: Issuing,
    /// What signs for relying parties.
    pub revoking: Revoking,
    /// Whom the fleet has certificates from.
    pub upstreams: Upstreams,
    /// What puts acts on record.
    pub recorder: Recorder,
    /// What proves control of names.
    pub validator: Validator,
    /// What looks at what is served.
    pub prober: Prober,
    /// By what people are told, as the settings have it by now.
    pub notices: watch::Receiver<Notices>,
    /// What counts.
    pub metrics: Metrics,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who gets the audit trail.
    pub siem: Siem,
    /// How long a proven authorization counts.
    pub authorization_lifetime: Duration,
}

/// Why a handler did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The lease was lost: another worker has the job now, and what was done here is discarded.
    #[error("the lease was lost")]
    LostLease,
    /// What was read has changed meanwhile: start again at once.
    #[error("changed meanwhile")]
    Changed,
    /// Trouble that may pass.
    #[error("{0}")]
    Passing(String),
    /// Trouble that will not.
    #[error("{0}")]
    Lasting(String),
}

impl From<StorageError> for HandlerError {
    fn from(error: StorageError) -> Self {
        if error.is_passing() {
            Self::Passing(error.to_string())
        } else {
            Self::Lasting(error.to_string())
        }
    }
}

impl From<VaultError> for HandlerError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Storage(error) => error.into(),
            // A KEK may come back: nothing is given up for want of it.
            VaultError::Open(_)
            | VaultError::Seal(_)
            | VaultError::Malformed { .. }
            | VaultError::NotAtHand(_)
            | VaultError::Proof { .. }
            | VaultError::Missing(_) => Self::Passing(error.to_string()),
        }
    }
}

impl From<InvalidTransition> for HandlerError {
    fn from(error: InvalidTransition) -> Self {
        Self::Lasting(error.to_string())
    }
}

/// How often a handler starts again because what it read has changed.
const STARTS: usize = 5;

impl Handlers {
    /// Carries out one job; its result, if there is one, is written when this returns.
    pub async fn handle(&self, lease: &Lease) -> Result<(), HandlerError> {
        for _ in 0..STARTS {
            let done = match &lease.job {
                Job::ValidateChallenge {
                    authorization,
                    challenge,
                    terms,
                    ..
                } => {
                    self.validate_challenge(lease, *authorization, *challenge, terms)
                        .await
                }
                Job::SignCertificate { order, .. } => self.sign_certificate(lease, *order).await,
                Job::IssueServerCertificate {
                    authority, names, ..
                } => self.issue_server_certificate(lease, authority, names).await,
                Job::RecoverWork { .. } => self.recover_work(lease).await,
                Job::CheckAuthorities { .. } => self.check_authorities(lease).await,
                Job::SequenceEvents { .. } => self.sequence_events(lease).await,
                Job::ForwardEvents { .. } => self.forward_events(lease).await,
                Job::SignOcspResponse {
                    certificate,
                    hash,
                    authority,
                    ..
                } => {
                    self.sign_ocsp_response(lease, *certificate, *hash, authority)
                        .await
                }
                Job::PublishCrls { .. } => self.publish_crls(lease).await,
                Job::RewrapSecrets { .. } => self.rewrap_secrets(lease).await,
                Job::PlanRenewals { .. } => self.plan_renewals(lease).await,
                Job::ScanEndpoints { .. } => self.scan_endpoints(lease).await,
                Job::TellNotices { .. } => self.tell_notices(lease).await,
                Job::Discover { .. } => self.discover(lease).await,
                Job::UpdateDns { .. } => self.update_dns(lease).await,
                Job::RenewManaged { managed, round } => {
                    self.renew_managed(lease, *managed, *round).await
                }
                Job::ApplyRetention {
                    due,
                    orders_before,
                    authorizations_before,
                    jobs_for,
                    audit_before,
                    versions_before,
                    ..
                } => {
                    let keep = Keep {
                        nonces_since: moment(*due)?,
                        orders_since: moment(*orders_before)?,
                        authorizations_since: moment(*authorizations_before)?,
                        versions_since: versions_before.map(moment).transpose()?,
                        jobs: Duration::from_secs(*jobs_for),
                    };
                    let audit_before = audit_before.map(moment).transpose()?;
                    self.apply_retention(lease, keep, audit_before).await
                }
            };
            match done {
                Err(HandlerError::Changed) => {}
                done => return done,
            }
        }
        Err(HandlerError::Passing(
            "what it works on keeps changing".to_owned(),
        ))
    }

    /// What is to be written beside the end of a job that is given up, so that nobody waits for it for ever.
    pub async fn give_up(&self, lease: &Lease) -> Result<Unit, HandlerError> {
        match &lease.job {
            Job::ValidateChallenge {
                authorization,
                challenge,
                terms,
                ..
            } => {
                self.give_up_validation(*authorization, *challenge, terms)
                    .await
            }
            Job::SignCertificate { order, .. } => self.give_up_signing(*order).await,
            Job::RenewManaged { managed, round } => self.give_up_renewal(*managed, *round).await,
            Job::IssueServerCertificate { .. }
            | Job::PlanRenewals { .. }
            | Job::UpdateDns { .. }
            | Job::ScanEndpoints { .. }
            | Job::TellNotices { .. }
            | Job::Discover { .. }
            | Job::SignOcspResponse { .. }
            | Job::PublishCrls { .. }
            | Job::RecoverWork { .. }
            | Job::CheckAuthorities { .. }
            | Job::SequenceEvents { .. }
            | Job::ForwardEvents { .. }
            | Job::RewrapSecrets { .. }
            | Job::ApplyRetention { .. } => Ok(Unit::default()),
        }
    }

    /// Writes the result and ends the job.
    async fn finish(&self, lease: &Lease, result: Unit) -> Result<(), HandlerError> {
        self.end(lease, &Outcome::Done, result).await
    }

    /// Writes how the attempt ended, and what goes with it.
    pub async fn end(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        result: Unit,
    ) -> Result<(), HandlerError> {
        match self.store.jobs.complete(lease, outcome, result).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_lost_lease() => Err(HandlerError::LostLease),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {
                Err(HandlerError::Changed)
            }
            Err(CommitError::Storage(error)) => Err(error.into()),
        }
    }
}

/// A moment as jobs have it: in Unix seconds.
fn moment(seconds: i64) -> Result<Timestamp, HandlerError> {
    Timestamp::from_unix_timestamp(seconds)
        .map_err(|error| HandlerError::Lasting(format!("{seconds} is no time: {error}")))
}
