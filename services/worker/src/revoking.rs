//! Signing what relying parties are told of revoked certificates: CRLs by the issuers themselves, OCSP answers by their
//! delegated responders, whose keys are made here and renewed in time.

use std::fmt::Display;
use std::sync::Arc;

use certfleet_domain::{
    Authority, CertIdHash, Certificate, CertificateState, Clock, Crl, CrlShard, Issuer,
    OcspResponse, Revocation, Serial, SystemRng, Timestamp,
};
use certfleet_pki::{
    CertId, CrlTemplate, IssueError, OcspStatus, OcspTemplate, PkiUrls, ResponderTemplate,
    Signer as _, certificate_pem, certificates_from_pem, create_crl, create_ocsp_response,
    create_responder, validity_of_certificate, within_issuer,
};
use certfleet_secrets::{Purpose, Secret};
use certfleet_signer::{InternalKey, KeyAlgorithm, SigningKey};
use certfleet_storage::{SecretName, Store, Vault};
use time::Duration;

use crate::handlers::HandlerError;
use crate::issuer_keys::IssuerKeys;
use crate::recorder::Recorder;

/// How long a responder's certificate is valid; it is renewed when a third of that is left.
const RESPONDER_LIFETIME: Duration = Duration::days(30);

/// What signs for relying parties.
pub struct Revoking {
    /// The database.
    pub store: Store,
    /// Where responders' keys lie.
    pub vault: Vault,
    /// The issuers' keys.
    pub keys: Arc<IssuerKeys>,
    /// Where relying parties find it all; without it they are told nothing.
    pub urls: Option<PkiUrls>,
    /// How long they may go by a CRL.
    pub crl_lifetime: Duration,
    /// How long they may go by an OCSP answer.
    pub ocsp_lifetime: Duration,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// A delegated responder, ready to sign.
struct Responder {
    key: InternalKey,
    certificate: Vec<u8>,
}

impl Revoking {
    /// The next CRL of a shard, in place of the one before it, if there is one.
    pub async fn crl(
        &self,
        issuer: &Issuer,
        shard: CrlShard,
        before: Option<&Crl>,
        revoked: Vec<Revocation>,
    ) -> Result<Crl, HandlerError> {
        let urls = self.urls.as_ref().ok_or_else(nowhere)?;
        let url = urls.crl(issuer.id, shard);
        let this_update = whole_second(self.clock.now());
        let (_, end) = validity_of_certificate(&issuer.certificate).map_err(passing)?;
        let next_update = (this_update + self.crl_lifetime).min(end);
        let key = self.key(issuer, Purpose::SignCrl).await?;
        let certificate = issuer.certificate.clone();
        let crl = Crl {
            issuer: issuer.id,
            shard,
            number: before.map_or(0, |before| before.number) + 1,
            this_update,
            renew_at: this_update + (next_update - this_update) / 2,
            next_update,
            listed: u32::try_from(revoked.len()).unwrap_or(u32::MAX),
            der: Vec::new(),
        };
        let number = crl.number.into();
        let der = signed(move || {
            let template = CrlTemplate {
                number,
                this_update,
                next_update,
                url: &url,
                revoked: &revoked,
            };
            create_crl(&template, &certificate, key.as_ref())
        });
        Ok(Crl {
            der: der.await?,
            ..crl
        })
    }

    /// An answer about a certificate that was issued.
    pub async fn ocsp_response(
        &self,
        authority: &Authority,
        issuer: &Issuer,
        certificate: &Certificate,
        hash: CertIdHash,
        recorder: &Recorder,
    ) -> Result<OcspResponse, HandlerError> {
        let status = match certificate.state {
            CertificateState::Revoked { at, reason, .. } => OcspStatus::Revoked { at, reason },
            CertificateState::Issued { .. } => OcspStatus::Good,
            CertificateState::Intended { .. } => {
                return Err(HandlerError::Lasting("it is not issued".to_owned()));
            }
        };
        let responder = self.responder(authority, issuer, recorder).await?;
        let (_, end) = validity_of_certificate(&responder.certificate).map_err(passing)?;
        let this_update = whole_second(self.clock.now());
        let next_update = (this_update + self.ocsp_lifetime).min(end);
        let (issuer, serial) = (issuer.certificate.clone(), certificate.serial);
        let der = signed(move || {
            let template = OcspTemplate {
                id: CertId::of(hash, &issuer, serial.octets())?,
                status,
                this_update,
                next_update,
            };
            create_ocsp_response(&template, &issuer, &responder.certificate, &responder.key)
        });
        Ok(OcspResponse {
            certificate: certificate.id,
            hash,
            revoked: status != OcspStatus::Good,
            this_update,
            next_update,
            der: der.await?,
        })
    }

    /// The issuer's responder. Where there is none, or it comes to its end, another is made; of two that are made at once,
    /// both are good, and one is kept.
    async fn responder(
        &self,
        authority: &Authority,
        issuer: &Issuer,
        recorder: &Recorder,
    ) -> Result<Responder, HandlerError> {
        let name = SecretName::OcspResponder(issuer.id);
        let kept = self.vault.open(&name, Purpose::SignOcspResponse).await?;
        let (_, issuers_end) = validity_of_certificate(&issuer.certificate).map_err(passing)?;
        if let Some(kept) = kept {
            let kept =
                Responder::from_pem(&kept).map_err(|why| passing(format!("{name}: {why}")))?;
            let (_, end) = validity_of_certificate(&kept.certificate).map_err(passing)?;
            // That of an issuer near its end cannot be renewed, and is good to the last.
            if end >= issuers_end || end - self.clock.now() > RESPONDER_LIFETIME / 3 {
                return Ok(kept);
            }
        }
        let made = self.make_responder(issuer).await?;
        let bundle = made.to_pem().map_err(passing)?;
        let sealed = self.vault.put(&name, &bundle, &mut SystemRng).await?;
        let event = recorder.responder_made(&authority.name, issuer.id);
        self.store
            .commit(sealed.recording(&event)?)
            .await
            .map_err(passing)?;
        tracing::info!(authority = %authority.name, issuer = %issuer.id, "made an OCSP responder");
        Ok(made)
    }

    async fn make_responder(&self, issuer: &Issuer) -> Result<Responder, HandlerError> {
        let key = InternalKey::generate(KeyAlgorithm::EcdsaP256).map_err(passing)?;
        let now = whole_second(self.clock.now());
        let wished = (now, now + RESPONDER_LIFETIME);
        let (not_before, not_after) =
            within_issuer(wished, &issuer.certificate).map_err(passing)?;
        let (spki, certificate) = (key.spki_der(), issuer.certificate.clone());
        let issuers = self.key(issuer, Purpose::SignResponder).await?;
        let certificate = signed(move || {
            let template = ResponderTemplate {
                serial: Serial::generate(&mut SystemRng),
                not_before,
                not_after,
                spki_der: &spki,
            };
            create_responder(&template, &certificate, issuers.as_ref())
        });
        Ok(Responder {
            key,
            certificate: certificate.await?,
        })
    }

    async fn key(
        &self,
        issuer: &Issuer,
        purpose: Purpose,
    ) -> Result<Arc<SigningKey>, HandlerError> {
        let key = self.keys.get(issuer.id, purpose).await;
        key.map_err(HandlerError::Passing)
    }
}

impl Responder {
    /// The key stands before the certificate.
    fn from_pem(bundle: &Secret) -> Result<Self, String> {
        let pem = std::str::from_utf8(bundle.expose()).map_err(|error| error.to_string())?;
        let key = InternalKey::from_pem(pem).map_err(|error| error.to_string())?;
        let start = pem.find("-----BEGIN CERTIFICATE-----");
        let certificates = certificates_from_pem(start.map_or("", |start| &pem[start..]))
            .map_err(|error| error.to_string())?;
        let certificate = certificates.into_iter().next();
        let certificate = certificate.ok_or("it has no certificate")?;
        Ok(Self { key, certificate })
    }

    fn to_pem(&self) -> Result<Secret, String> {
        let key = self.key.to_pkcs8_pem().map_err(|error| error.to_string())?;
        let bundle = format!("{}{}", *key, certificate_pem(&self.certificate));
        Ok(Secret::new(bundle.into_bytes()))
    }
}

/// Signs where blocking is allowed. Whatever went wrong is the authority's trouble, and a person's to end.
async fn signed(
    sign: impl FnOnce() -> Result<Vec<u8>, IssueError> + Send + 'static,
) -> Result<Vec<u8>, HandlerError> {
    tokio::task::spawn_blocking(sign)
        .await
        .map_err(passing)?
        .map_err(passing)
}

fn whole_second(at: Timestamp) -> Timestamp {
    at.replace_nanosecond(0).unwrap_or(at)
}

fn nowhere() -> HandlerError {
    HandlerError::Lasting("revocation.url is not set".to_owned())
}

fn passing(error: impl Display) -> HandlerError {
    HandlerError::Passing(error.to_string())
}
