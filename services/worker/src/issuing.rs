//! Signing certificates as they were intended.

use std::sync::Arc;

use certfleet_data_kit::Authorities;
use certfleet_domain::{Certificate, CertificateState, CrlShard};
use certfleet_pki::{CertificateTemplate, CheckedCsr, IssueError, PkiUrls, SignerError, issue};
use certfleet_secrets::Purpose;
use tracing::Instrument as _;

use crate::issuer_keys::IssuerKeys;
use crate::metrics::Metrics;

/// Why there is no signature.
#[derive(Debug)]
pub enum IssuingError {
    /// Trouble of ours, which may pass.
    Passing(String),
    /// What is to be signed cannot be.
    Refused(String),
}

/// What signs certificates.
pub struct Issuing {
    /// The authorities.
    pub authorities: Authorities,
    /// Their issuers' keys.
    pub keys: Arc<IssuerKeys>,
    /// Where relying parties find what certificates name, if they name it.
    pub urls: Option<PkiUrls>,
    /// Signatures are counted.
    pub metrics: Metrics,
}

impl Issuing {
    /// Signs a certificate as it was intended: serial number, names, validity and issuer are those recorded.
    pub async fn sign(&self, certificate: &Certificate) -> Result<Vec<u8>, IssuingError> {
        let signing = self.try_to_sign(certificate);
        let signed = signing.instrument(certfleet_trace::step("sign")).await;
        self.metrics.signature(&certificate.authority, &signed);
        signed
    }

    /// The same without being counted, for what nobody asked for.
    pub async fn try_to_sign(&self, certificate: &Certificate) -> Result<Vec<u8>, IssuingError> {
        let CertificateState::Intended { csr } = &certificate.state else {
            return Err(IssuingError::Refused("it is signed already".to_owned()));
        };
        let authority = self
            .authorities
            .find(&certificate.authority)
            .await
            .map_err(passing)?;
        let authority = authority
            .ok_or_else(|| passing(format!("there is no authority {}", certificate.authority)))?;
        let issuer = authority
            .issuer(certificate.issuer)
            .ok_or_else(|| {
                passing(format!(
                    "authority {} has no issuer {}",
                    authority.name, certificate.issuer
                ))
            })?
            .clone();
        let profile = authority
            .profile(Some(&certificate.profile))
            .ok_or_else(|| {
                IssuingError::Refused(format!("the profile {} is no more", certificate.profile))
            })?
            .clone();
        let csr = CheckedCsr::parse(csr, &certificate.identifiers)
            .map_err(|problem| IssuingError::Refused(problem.to_string()))?;
        let key = self
            .keys
            .get(issuer.id, Purpose::SignCertificate)
            .await
            .map_err(IssuingError::Passing)?;
        let (serial, names) = (certificate.serial, certificate.identifiers.clone());
        let (not_before, not_after) = (certificate.not_before, certificate.not_after);
        let urls = self.urls.as_ref();
        let crl_url = urls.map(|urls| urls.crl(issuer.id, CrlShard::of(serial)));
        let issuer_url = urls.map(|urls| urls.issuer(issuer.id));
        let ocsp_url = urls.map(PkiUrls::ocsp);
        let signing = tokio::task::spawn_blocking(move || {
            let template = CertificateTemplate {
                serial,
                not_before,
                not_after,
                identifiers: &names,
                spki_der: csr.spki_der(),
                profile: &profile,
                must_staple: csr.must_staple(),
                crl_url: crl_url.as_deref(),
                issuer_url: issuer_url.as_deref(),
                ocsp_url: ocsp_url.as_deref(),
            };
            issue(&template, &issuer.certificate, key.as_ref())
        });
        signing
            .await
            .map_err(passing)?
            .map_err(|error| match error {
                IssueError::Signer(SignerError::Unavailable(why)) => IssuingError::Passing(why),
                // Faults of the authority's own: a person has to act, and the order waits meanwhile.
                IssueError::Issuer(_)
                | IssueError::SelfCheck(_)
                | IssueError::Signer(SignerError::Refused(_)) => {
                    IssuingError::Passing(error.to_string())
                }
                IssueError::Template(_) | IssueError::Key(_) | IssueError::Encoding(_) => {
                    IssuingError::Refused(error.to_string())
                }
            })
    }
}

fn passing(error: impl std::fmt::Display) -> IssuingError {
    IssuingError::Passing(error.to_string())
}
