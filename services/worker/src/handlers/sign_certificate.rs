//! Signs the certificate that an order's finalization intended, exactly as it was recorded.

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{
    AccountId, AccountStatus, Certificate, CertificateId, CertificateState, Order, OrderId,
    OrderState, Problem, ProblemKind,
};
use certfleet_jobs::Lease;
use certfleet_storage::Unit;

use super::{HandlerError, Handlers};
use crate::issuing::IssuingError;

impl Handlers {
    pub(super) async fn sign_certificate(
        &self,
        lease: &Lease,
        order: OrderId,
    ) -> Result<(), HandlerError> {
        let Some((order, certificate)) = self.unsigned(order).await? else {
            return self.finish(lease, Unit::default()).await;
        };
        reach(CrashPoint::CertificateRead);
        if let Some(status) = self.no_more(order.account).await? {
            let why = format!("the account that ordered it is {status}");
            tracing::info!(order = %order.id, why, "is not signed");
            let event = self.recorder.not_issued(&certificate, &why);
            let problem = Problem::new(ProblemKind::Unauthorized, why);
            let failed = self.store.orders.update(&order.fail(problem)?)?;
            return self.finish(lease, failed.recording(&event)?).await;
        }
        let result = match self.issuing.sign(&certificate).await {
            Ok(der) => {
                reach(CrashPoint::CertificateSigned);
                let (id, serial) = (certificate.id, certificate.serial);
                tracing::info!(order = %order.id, certificate = %id, %serial, "signed");
                let event = self.recorder.issued(&certificate);
                let issued = self.store.certificates.update(&certificate.issue(der)?)?;
                issued
                    .and(self.store.orders.update(&order.complete()?)?)
                    .recording(&event)?
            }
            Err(IssuingError::Passing(why)) => return Err(HandlerError::Passing(why)),
            Err(IssuingError::Refused(why)) => {
                tracing::warn!(order = %order.id, why, "cannot be signed");
                let event = self.recorder.not_issued(&certificate, &why);
                let problem = Problem::new(
                    ProblemKind::BadCsr,
                    format!("the certificate cannot be signed: {why}"),
                );
                let failed = self.store.orders.update(&order.fail(problem)?)?;
                failed.recording(&event)?
            }
        };
        self.finish(lease, result).await?;
        reach(CrashPoint::CertificateWritten);
        Ok(())
    }

    /// What became of an account that may not be used any more: its orders go with it (RFC 8555 §7.3.6).
    async fn no_more(&self, account: AccountId) -> Result<Option<&'static str>, HandlerError> {
        let found = self.store.accounts.find(account).await?;
        Ok(match found.map(|account| account.status) {
            Some(AccountStatus::Valid) => None,
            Some(status @ (AccountStatus::Deactivated | AccountStatus::Revoked)) => {
                Some(status.name())
            }
            None => Some("gone"),
        })
    }

    /// The order and its intended certificate, if it is still to be signed.
    async fn unsigned(&self, id: OrderId) -> Result<Option<(Order, Certificate)>, HandlerError> {
        let Some(order) = self.store.orders.find(id).await? else {
            return Ok(None);
        };
        let OrderState::Processing { certificate } = order.state else {
            return Ok(None);
        };
        let certificate = self.intended(certificate).await?;
        Ok(Some((order, certificate)))
    }

    async fn intended(&self, id: CertificateId) -> Result<Certificate, HandlerError> {
        let found = self.store.certificates.find(id).await?;
        found
            .filter(|certificate| matches!(certificate.state, CertificateState::Intended { .. }))
            .ok_or_else(|| {
                HandlerError::Lasting(format!("certificate {id} is not there, or not as intended"))
            })
    }

    pub(super) async fn give_up_signing(&self, order: OrderId) -> Result<Unit, HandlerError> {
        let Some(order) = self.store.orders.find(order).await? else {
            return Ok(Unit::default());
        };
        let OrderState::Processing { .. } = order.state else {
            return Ok(Unit::default());
        };
        let detail = "the service could not sign the certificate; try again with a new order";
        let failed = order.fail(Problem::new(ProblemKind::ServerInternal, detail))?;
        Ok(self.store.orders.update(&failed)?)
    }
}
