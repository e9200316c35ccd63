//! From what is to be certified to the signed certificate (RFC 5280).
//!
//! The contents follow the CA/Browser Forum's Baseline Requirements (7.1.2.7), whether or not the authority is a
//! public one: what browsers and linters of today accept, they will accept from here.

use certfleet_domain::{Identifier, KeyUsage, Profile, Serial, Timestamp};
use rcgen::{
    CertificateParams, CrlDistributionPoint, DistinguishedName, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::UtcOffset;

use crate::public_key::{WeakKey, public_key_strength};
use crate::signer::{Signer, SignerError};

mod extensions;
mod reading;
mod self_check;
mod signing;
#[cfg(test)]
mod tests;

pub(crate) use extensions::{
    ANY_POLICY, TLS_FEATURE_OID, TLS_FEATURE_STATUS_REQUEST, certificate_policies, issuer_access,
    require_http,
};
pub(crate) use reading::{IssuerCertificate, read};
pub use reading::{
    NotACertificate, authority_key_identifier, fingerprint_of_certificate,
    issuer_name_of_certificate, issuer_of_certificate, names_of_certificate, serial_of_certificate,
    spki_of_certificate, validity_of_certificate, within_issuer,
};
pub(crate) use self_check::check_signature;
pub(crate) use signing::{request_by, sign_itself, sign_list, sign_under, subject_key};

/// The longest lifetime of a profile whose certificates carry no revocation data, in seconds: 7 days, as the Baseline
/// Requirements define a short-lived certificate from 2026-03-15 on.
pub const SHORT_LIVED_SECONDS: i64 = 7 * 24 * 60 * 60;

/// What is to be certified.
#[derive(Debug, Clone)]
pub struct CertificateTemplate<'a> {
    /// The serial number.
    pub serial: Serial,
    /// Start of validity; parts of a second are dropped.
    pub not_before: Timestamp,
    /// End of validity, the last second that counts (RFC 5280 §4.1.2.5).
    pub not_after: Timestamp,
    /// The names, one at least.
    pub identifiers: &'a [Identifier],
    /// The subject's key, a DER `SubjectPublicKeyInfo`.
    pub spki_der: &'a [u8],
    /// What kind of certificate. One that lives no longer than [`SHORT_LIVED_SECONDS`] gets no revocation data.
    pub profile: &'a Profile,
    /// Whether to add the TLS feature extension with `status_request` (RFC 7633).
    pub must_staple: bool,
    /// Where the CRL is (RFC 5280 §4.2.1.13).
    pub crl_url: Option<&'a str>,
    /// Where the issuer's certificate is (RFC 5280 §4.2.2.1, caIssuers).
    pub issuer_url: Option<&'a str>,
    /// Where the OCSP responder is.
    pub ocsp_url: Option<&'a str>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// What is asked for cannot be certified.
    #[error("the template cannot be certified: {0}")]
    Template(&'static str),
    /// The subject's key is not acceptable.
    #[error("the subject's public key is refused: {0}")]
    Key(#[from] WeakKey),
    /// What should sign cannot.
    #[error("the issuer cannot sign: {0}")]
    Issuer(&'static str),
    /// The signer did not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The certificate could not be encoded.
    #[error("the certificate cannot be encoded: {0}")]
    Encoding(String),
    /// What was signed is not what was asked for; it was thrown away.
    #[error("the signed certificate failed its check and was thrown away: {0}")]
    SelfCheck(&'static str),
}

/// Signs a certificate for a server. Blocks as long as the signer does.
///
/// The result is read back: its signature verifies with the issuer's certificate, and its contents are the template's.
///
/// # Errors
/// [`IssueError::Signer`] may pass on its own; all others will not.
pub fn issue(
    template: &CertificateTemplate<'_>,
    issuer_certificate: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let issuer = IssuerCertificate::read(issuer_certificate)?;
    issuer.require_key(signer)?;
    issuer.require_within(template.not_before, template.not_after)?;
    public_key_strength(template.spki_der)?;
    let params = template.params()?;
    let key = subject_key(template.spki_der)?;
    let der = sign_under(&params, &key, &issuer, signer)?;
    self_check::check_leaf(&der, template, &issuer)?;
    Ok(der)
}

/// What every certificate has: a serial number, and from when to when it counts.
pub(crate) fn params(
    serial: Serial,
    not_before: Timestamp,
    not_after: Timestamp,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(serial.octets()));
    params.not_before = not_before.to_offset(UtcOffset::UTC);
    params.not_after = not_after.to_offset(UtcOffset::UTC);
    params
}

impl CertificateTemplate<'_> {
    fn params(&self) -> Result<CertificateParams, IssueError> {
        if self.identifiers.is_empty() {
            return Err(IssueError::Template("it has no names"));
        }
        let mut params = params(self.serial, self.not_before, self.not_after);
        // No subject: the names stand in the extension, which that makes critical.
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = self
            .identifiers
            .iter()
            .map(alternative_name)
            .collect::<Result<_, _>>()?;
        params.is_ca = IsCa::NoCa;
        // For RSA keys as well: what keyEncipherment is for, the RSA key exchange of TLS 1.2, is long given up.
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self
            .profile
            .key_usages
            .iter()
            .map(|usage| match usage {
                KeyUsage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
                KeyUsage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
            })
            .collect();
        params.use_authority_key_identifier_extension = true;
        self.add_urls(&mut params)?;
        params
            .custom_extensions
            .push(certificate_policies(extensions::DOMAIN_VALIDATED));
        if self.must_staple {
            params.custom_extensions.push(extensions::tls_feature());
        }
        Ok(params)
    }

    fn add_urls(&self, params: &mut CertificateParams) -> Result<(), IssueError> {
        let revocable = self.profile.lifetime_seconds > SHORT_LIVED_SECONDS;
        let crl_url = self.crl_url.filter(|_| revocable);
        let ocsp_url = self.ocsp_url.filter(|_| revocable);
        add_crl(params, crl_url)?;
        let access = extensions::authority_access(self.issuer_url, ocsp_url)?;
        params.custom_extensions.extend(access);
        Ok(())
    }
}

/// Names the CRL in a certificate.
pub(crate) fn add_crl(params: &mut CertificateParams, url: Option<&str>) -> Result<(), IssueError> {
    if let Some(url) = url {
        require_http(url)?;
        params.crl_distribution_points.push(CrlDistributionPoint {
            uris: vec![url.to_owned()],
        });
    }
    Ok(())
}

pub(crate) fn alternative_name(identifier: &Identifier) -> Result<SanType, IssueError> {
    match identifier {
        Identifier::Dns(_) | Identifier::Wildcard(_) => identifier
            .to_string()
            .try_into()
            .map(SanType::DnsName)
            .map_err(|_| IssueError::Template("a name is not ASCII")),
        Identifier::Ip(address) => Ok(SanType::IpAddress(*address)),
    }
}
