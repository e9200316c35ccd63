//! What signs: the authorities' issuers, opened here and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use certfleet_data_kit::Authorities;
use certfleet_domain::{Certificate, CertificateState, IssuerId};
use certfleet_pki::{CertificateTemplate, CheckedCsr, IssueError, SignerError, issue};
use certfleet_secrets::Purpose;
use certfleet_signer::InternalKey;
use certfleet_storage::{SecretName, Vault};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use crate::metrics::Metrics;

/// Why there is no signature.
#[derive(Debug)]
pub enum IssuingError {
    /// Trouble of ours, which may pass.
    Passing(String),
    /// What is to be signed cannot be.
    Refused(String),
}

/// The authorities' issuers. Each key is opened once and kept for as long as the process lives.
pub struct Issuing {
    authorities: Authorities,
    vault: Vault,
    metrics: Metrics,
    keys: RwLock<HashMap<IssuerId, Arc<InternalKey>>>,
}

impl Issuing {
    /// Over the database and its secrets; signatures are counted.
    pub fn new(authorities: Authorities, vault: Vault, metrics: Metrics) -> Self {
        Self {
            authorities,
            vault,
            metrics,
            keys: RwLock::default(),
        }
    }

    /// Signs a certificate as it was intended: serial number, names, validity and issuer are those recorded.
    pub async fn sign(&self, certificate: &Certificate) -> Result<Vec<u8>, IssuingError> {
        let signing = self.try_to_sign(certificate);
        let signed = signing.instrument(certfleet_trace::step("sign")).await;
        self.metrics.signature(&certificate.authority, &signed);
        signed
    }

    async fn try_to_sign(&self, certificate: &Certificate) -> Result<Vec<u8>, IssuingError> {
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
        let key = self.key(issuer.id).await?;
        let (serial, names) = (certificate.serial, certificate.identifiers.clone());
        let (not_before, not_after) = (certificate.not_before, certificate.not_after);
        let signing = tokio::task::spawn_blocking(move || {
            let template = CertificateTemplate {
                serial,
                not_before,
                not_after,
                identifiers: &names,
                spki_der: csr.spki_der(),
                profile: &profile,
                must_staple: csr.must_staple(),
                crl_url: None,
                issuer_url: None,
                ocsp_url: None,
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

    async fn key(&self, issuer: IssuerId) -> Result<Arc<InternalKey>, IssuingError> {
        if let Some(key) = self
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&issuer)
        {
            return Ok(Arc::clone(key));
        }
        let name = SecretName::IssuerKey(issuer);
        let secret = self
            .vault
            .require(&name, Purpose::SignCertificate)
            .await
            .map_err(passing)?;
        let der = Zeroizing::new(secret.expose().to_vec());
        let key = InternalKey::from_pkcs8_der(&der)
            .map_err(|error| passing(format!("secret {name}: {error}")))?;
        let key = Arc::new(key);
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(issuer, Arc::clone(&key));
        Ok(key)
    }
}

fn passing(error: impl std::fmt::Display) -> IssuingError {
    IssuingError::Passing(error.to_string())
}
