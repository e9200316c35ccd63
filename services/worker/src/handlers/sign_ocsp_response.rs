//! Signs an OCSP answer that somebody waits for.

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{AuthorityName, CertIdHash, CertificateId};
use certfleet_jobs::Lease;
use certfleet_storage::Unit;

use super::{HandlerError, Handlers};

impl Handlers {
    pub(super) async fn sign_ocsp_response(
        &self,
        lease: &Lease,
        certificate: CertificateId,
        hash: CertIdHash,
        authority: &AuthorityName,
    ) -> Result<(), HandlerError> {
        let found = self.store.certificates.find(certificate).await?;
        let Some(certificate) = found.filter(|certificate| certificate.der().is_some()) else {
            return self.finish(lease, Unit::default()).await;
        };
        let authority = self.store.authorities.find(authority).await?;
        let issuer = authority
            .as_ref()
            .and_then(|authority| Some((authority, authority.issuer(certificate.issuer)?)));
        let (authority, issuer) = issuer.ok_or_else(|| {
            let why = format!("its issuer {} is not known", certificate.issuer);
            HandlerError::Lasting(why)
        })?;
        let response = self
            .revoking
            .ocsp_response(authority, issuer, &certificate, hash, &self.recorder)
            .await?;
        reach(CrashPoint::OcspResponseSigned);
        let put = self.store.ocsp_responses.put(&response)?;
        self.finish(lease, put).await
    }
}
