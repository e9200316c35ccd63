//! The step through rcgen: contents and signer in, signed DER out.

use rcgen::{
    CertificateParams, CertificateRevocationListParams, Issuer, PublicKeyData, SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;

use super::{IssueError, IssuerCertificate};
use crate::signer::{Adapter, Signer};

/// A subject's key as rcgen wants it.
pub(crate) fn subject_key(spki_der: &[u8]) -> Result<SubjectPublicKeyInfo, IssueError> {
    SubjectPublicKeyInfo::from_der(spki_der)
        .map_err(|error| IssueError::Encoding(error.to_string()))
}

/// Signs under an issuer's certificate.
pub(crate) fn sign_under(
    params: &CertificateParams,
    key: &impl PublicKeyData,
    issuer: &IssuerCertificate<'_>,
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    by_issuer(issuer, signer, |issuer| params.signed_by(key, issuer))
}

/// Signs a list of revoked certificates.
pub(crate) fn sign_list(
    params: &CertificateRevocationListParams,
    issuer: &IssuerCertificate<'_>,
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    by_issuer(issuer, signer, |issuer| params.signed_by(issuer))
}

fn by_issuer<T: AsDer>(
    issuer: &IssuerCertificate<'_>,
    signer: &dyn Signer,
    sign: impl FnOnce(&Issuer<'_, &Adapter<'_>>) -> Result<T, rcgen::Error>,
) -> Result<Vec<u8>, IssueError> {
    let adapter = Adapter::new(signer);
    let certificate = CertificateDer::from(issuer.der);
    let outcome = Issuer::from_ca_cert_der(&certificate, &adapter).and_then(|issuer| sign(&issuer));
    finish(outcome, &adapter)
}

/// Signs a certificate for the signer's own key.
pub(crate) fn sign_itself(
    params: &CertificateParams,
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let adapter = Adapter::new(signer);
    finish(params.self_signed(&adapter), &adapter)
}

/// Signs a request for the signer's own key.
pub(crate) fn request_by(
    params: &CertificateParams,
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let adapter = Adapter::new(signer);
    finish(params.serialize_request(&adapter), &adapter)
}

fn finish(
    outcome: Result<impl AsDer, rcgen::Error>,
    adapter: &Adapter<'_>,
) -> Result<Vec<u8>, IssueError> {
    match outcome {
        Ok(signed) => Ok(signed.as_der().to_vec()),
        Err(error) => Err(adapter.failure().map_or_else(
            || IssueError::Encoding(error.to_string()),
            IssueError::Signer,
        )),
    }
}

/// What rcgen has signed.
trait AsDer {
    fn as_der(&self) -> &[u8];
}

impl AsDer for rcgen::Certificate {
    fn as_der(&self) -> &[u8] {
        self.der()
    }
}

impl AsDer for rcgen::CertificateSigningRequest {
    fn as_der(&self) -> &[u8] {
        self.der()
    }
}

impl AsDer for rcgen::CertificateRevocationList {
    fn as_der(&self) -> &[u8] {
        self.der()
    }
}
