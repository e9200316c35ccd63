//! Makes the certificate that the API itself shows, and keeps it with its key, sealed, for all replicas.

use certfleet_domain::{
    Authority, AuthorityName, Certificate, CertificateId, CertificateOrigin, CertificateState,
    Identifier, Serial, SystemRng,
};
use certfleet_jobs::Lease;
use certfleet_pki::{chain_pem, create_csr, within_issuer};
use certfleet_secrets::Secret;
use certfleet_signer::{InternalKey, KeyAlgorithm};
use certfleet_storage::SecretName;

use super::{HandlerError, Handlers};
use crate::issuing::IssuingError;

impl Handlers {
    pub(super) async fn issue_server_certificate(
        &self,
        lease: &Lease,
        authority: &AuthorityName,
        names: &[Identifier],
    ) -> Result<(), HandlerError> {
        let missing = || HandlerError::Passing(format!("there is no authority {authority}"));
        let authority = self
            .store
            .authorities
            .find(authority)
            .await?
            .ok_or_else(missing)?;
        let lasting = |error: &dyn std::fmt::Display| HandlerError::Lasting(error.to_string());
        let key =
            InternalKey::generate(KeyAlgorithm::EcdsaP256).map_err(|error| lasting(&error))?;
        let intended = self
            .for_ourselves(&authority, names, &key)
            .map_err(|why| lasting(&why))?;
        // A crash between here and the end leaves this record behind, of a certificate that nobody has.
        let recorded = self
            .store
            .commit(self.store.certificates.insert(&intended)?)
            .await;
        recorded.map_err(|error| HandlerError::Passing(error.to_string()))?;

        let der = self
            .issuing
            .sign(&intended)
            .await
            .map_err(|error| match error {
                IssuingError::Passing(why) => HandlerError::Passing(why),
                IssuingError::Refused(why) => HandlerError::Lasting(why),
            })?;
        let private = key.to_pkcs8_pem().map_err(|error| lasting(&error))?;
        let bundle = format!("{}{}", *private, chain_pem(&der, &authority.issuer));
        let name = SecretName::ServerCertificate(authority.name.clone());
        let sealed = self
            .vault
            .put(&name, &Secret::new(bundle.into_bytes()), &mut SystemRng)
            .await?;
        tracing::info!(authority = %authority.name, serial = %intended.serial, "issued the API's certificate");
        let event = self.recorder.issued(&intended);
        let issued = self.store.certificates.update(&intended.issue(der)?)?;
        let result = issued.and(sealed).recording(&event)?;
        self.finish(lease, result).await
    }

    /// A certificate that nobody ordered, as it is to be signed.
    pub(super) fn for_ourselves(
        &self,
        authority: &Authority,
        names: &[Identifier],
        key: &InternalKey,
    ) -> Result<Certificate, String> {
        let csr = create_csr(names, key).map_err(|error| error.to_string())?;
        let profile = authority
            .profile(None)
            .ok_or("the authority has no profile")?;
        let now = self.clock.now();
        let wished = profile.validity(now, None, None);
        let (not_before, not_after) = within_issuer(wished, &authority.issuer.certificate)
            .map_err(|error| error.to_string())?;
        Ok(Certificate {
            id: CertificateId::generate(self.clock.as_ref(), &mut SystemRng),
            serial: Serial::generate(&mut SystemRng),
            authority: authority.name.clone(),
            issuer: authority.issuer.id,
            origin: CertificateOrigin::Service,
            identifiers: names.to_vec(),
            profile: profile.name.clone(),
            not_before,
            not_after,
            replaced_by: None,
            created_at: now,
            state: CertificateState::Intended { csr },
            version: 0,
        })
    }
}
