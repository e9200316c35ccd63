//! Reading certificates: an issuer's, and what others need to know of any.

use aws_lc_rs::digest::{SHA256, digest};
use certfleet_domain::{Fingerprint, Identifier, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Name;

use super::IssueError;
use crate::csr::names;
use crate::signer::Signer;

/// Octets that are not exactly one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed X.509 certificate in DER")]
pub struct NotACertificate;

/// The key of a certificate, a DER `SubjectPublicKeyInfo`.
///
/// # Errors
/// Not a certificate.
pub fn spki_of_certificate(der: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    Ok(read(der)?.public_key().raw.to_vec())
}

/// Who signed a certificate: the name, as it stands there (DER).
///
/// # Errors
/// Not a certificate.
pub fn issuer_of_certificate(der: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    Ok(read(der)?.issuer().as_raw().to_vec())
}

/// Who has issued a certificate, DER, as it says itself: for people (RFC 4514, as far as that goes).
///
/// # Errors
/// It is none.
pub fn issuer_name_of_certificate(der: &[u8]) -> Result<String, NotACertificate> {
    Ok(read(der)?.issuer().to_string())
}

/// The SHA-256 digest of a certificate, DER.
pub fn fingerprint_of_certificate(der: &[u8]) -> Fingerprint {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, der).as_ref());
    Fingerprint::new(octets)
}

/// Start and end of a certificate's validity, the last second included.
///
/// # Errors
/// Not a certificate.
pub fn validity_of_certificate(der: &[u8]) -> Result<(Timestamp, Timestamp), NotACertificate> {
    let certificate = read(der)?;
    let validity = certificate.validity();
    Ok((
        validity.not_before.to_datetime(),
        validity.not_after.to_datetime(),
    ))
}

/// The part of a validity, start and end, that lies within the issuer's own: a certificate starts no earlier than its
/// issuer, which may have been made a moment ago, and ends no later.
///
/// # Errors
/// The issuer is not a certificate.
pub fn within_issuer(
    (not_before, not_after): (Timestamp, Timestamp),
    issuer: &[u8],
) -> Result<(Timestamp, Timestamp), NotACertificate> {
    let (start, end) = validity_of_certificate(issuer)?;
    Ok((not_before.max(start), not_after.min(end)))
}

/// Exactly one certificate, with names that have no empty part.
pub(crate) fn read(der: &[u8]) -> Result<X509Certificate<'_>, NotACertificate> {
    match parse_x509_certificate(der) {
        Ok(([], certificate)) => {
            let whole = is_whole(certificate.subject()) && is_whole(certificate.issuer());
            whole.then_some(certificate).ok_or(NotACertificate)
        }
        Ok(_) | Err(_) => Err(NotACertificate),
    }
}

/// A relative name is a set of one or more (RFC 5280 §4.1.2.4); rcgen panics on an empty one.
fn is_whole(name: &X509Name<'_>) -> bool {
    name.iter().all(|relative| relative.iter().next().is_some())
}

/// A certificate that others are signed under.
pub(crate) struct IssuerCertificate<'a> {
    pub(crate) der: &'a [u8],
    pub(crate) parsed: X509Certificate<'a>,
}

impl<'a> IssuerCertificate<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, IssueError> {
        let parsed =
            read(der).map_err(|_| IssueError::Issuer("its certificate is not well-formed"))?;
        if parsed.is_ca() {
            Ok(Self { der, parsed })
        } else {
            Err(IssueError::Issuer("its certificate is not an authority's"))
        }
    }

    /// The signer holds the key of this certificate.
    pub(crate) fn require_key(&self, signer: &dyn Signer) -> Result<(), IssueError> {
        if self.parsed.public_key().raw == signer.spki_der() {
            Ok(())
        } else {
            Err(IssueError::Issuer(
                "its key is not the one in its certificate",
            ))
        }
    }

    /// What certificates and lists signed under it name its key by: its subject key identifier (RFC 5280 §4.2.1.2).
    pub(crate) fn key_identifier(&self) -> Result<Vec<u8>, IssueError> {
        self.parsed
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
                _ => None,
            })
            .ok_or(IssueError::Issuer(
                "its certificate has no subject key identifier",
            ))
    }

    /// The validity is one, and lies within this certificate's own.
    pub(crate) fn require_within(
        &self,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<(), IssueError> {
        let own = self.parsed.validity();
        if not_after < not_before {
            Err(IssueError::Template("its validity ends before it starts"))
        } else if not_after.unix_timestamp() > own.not_after.timestamp() {
            Err(IssueError::Template(
                "its validity ends after its issuer's own",
            ))
        } else if not_before.unix_timestamp() < own.not_before.timestamp() {
            Err(IssueError::Template(
                "its validity starts before its issuer's own",
            ))
        } else {
            Ok(())
        }
    }
}

/// The serial number of a certificate: the integer's octets, big-endian.
///
/// # Errors
/// Not a certificate.
pub fn serial_of_certificate(der: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    Ok(read(der)?.raw_serial().to_vec())
}

/// The names in a certificate's subject alternative name extension, sorted; none if it has no such extension.
///
/// # Errors
/// Not a certificate, or one with names that are neither DNS names nor addresses.
pub fn names_of_certificate(der: &[u8]) -> Result<Vec<Identifier>, NotACertificate> {
    let certificate = read(der)?;
    let extension = certificate
        .get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME)
        .map_err(|_| NotACertificate)?;
    let Some(extension) = extension else {
        return Ok(Vec::new());
    };
    let names = names::from_extension(extension).map_err(|_| NotACertificate)?;
    Ok(names.into_iter().collect())
}

/// The keyIdentifier of a certificate's authority key identifier extension (RFC 5280 §4.2.1.1), which ARI names it by.
///
/// # Errors
/// Not a certificate, or one without that extension.
pub fn authority_key_identifier(der: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    let certificate = read(der)?;
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(identifier) => {
                identifier.key_identifier.as_ref()
            }
            _ => None,
        })
        .map(|identifier| identifier.0.to_vec())
        .ok_or(NotACertificate)
}
