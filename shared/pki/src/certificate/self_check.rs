//! What was signed, read back: nothing leaves that is not what was asked for.

use std::collections::BTreeSet;

use certfleet_domain::Identifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::Oid;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;

use super::{CertificateTemplate, IssueError, IssuerCertificate, TLS_FEATURE_OID, read};
use crate::csr::names;

/// The certificate is the template's, signed by the issuer.
pub(super) fn check_leaf(
    der: &[u8],
    template: &CertificateTemplate<'_>,
    issuer: &IssuerCertificate<'_>,
) -> Result<(), IssueError> {
    let certificate = check_signature(der, issuer)?;
    let validity = certificate.validity();
    let same_validity = validity.not_before.timestamp() == template.not_before.unix_timestamp()
        && validity.not_after.timestamp() == template.not_after.unix_timestamp();
    let checks = [
        (
            certificate.raw_serial() == template.serial.octets(),
            "its serial number differs",
        ),
        (same_validity, "its validity differs"),
        (
            certificate.public_key().raw == template.spki_der,
            "its public key differs",
        ),
        (
            names_of(&certificate)? == template.identifiers.iter().cloned().collect(),
            "its names differ",
        ),
        (!certificate.is_ca(), "it is an authority's"),
        (
            has_tls_feature(&certificate)? == template.must_staple,
            "must-staple differs",
        ),
    ];
    match checks.into_iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, what)) => Err(IssueError::SelfCheck(what)),
    }
}

/// The certificate parses, names the issuer octet by octet, and verifies with the issuer's key.
pub(crate) fn check_signature<'a>(
    der: &'a [u8],
    issuer: &IssuerCertificate<'_>,
) -> Result<X509Certificate<'a>, IssueError> {
    let certificate = read(der).map_err(|_| IssueError::SelfCheck("it does not parse"))?;
    if certificate.issuer().as_raw() != issuer.parsed.subject().as_raw() {
        return Err(IssueError::SelfCheck(
            "its issuer's name is not written as in the issuer's certificate",
        ));
    }
    certificate
        .verify_signature(Some(issuer.parsed.public_key()))
        .map_err(|_| IssueError::SelfCheck("its signature does not verify"))?;
    Ok(certificate)
}

fn names_of(certificate: &X509Certificate<'_>) -> Result<BTreeSet<Identifier>, IssueError> {
    let extension = certificate
        .get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME)
        .map_err(|_| IssueError::SelfCheck("its names are there twice"))?
        .ok_or(IssueError::SelfCheck("it has no names"))?;
    names::from_extension(extension).map_err(|_| IssueError::SelfCheck("its names do not parse"))
}

fn has_tls_feature(certificate: &X509Certificate<'_>) -> Result<bool, IssueError> {
    let oid = Oid::from(TLS_FEATURE_OID)
        .map_err(|_| IssueError::SelfCheck("the TLS feature has no identifier"))?;
    certificate
        .get_extension_unique(&oid)
        .map(|extension| extension.is_some())
        .map_err(|_| IssueError::SelfCheck("its TLS feature is there twice"))
}
