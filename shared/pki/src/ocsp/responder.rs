//! The delegated responder's certificate.

use certfleet_domain::{Serial, Timestamp};
use rcgen::{
    CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
};

use crate::certificate::{
    IssueError, IssuerCertificate, check_signature, params, sign_under, subject_key,
};
use crate::signer::Signer;

/// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): who gets an answer of this responder's need not ask about the responder.
const NO_CHECK: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
/// NULL, DER.
const NULL: &[u8] = &[0x05, 0x00];

/// What a delegated responder's certificate is to be.
#[derive(Debug, Clone)]
pub struct ResponderTemplate<'a> {
    /// Its serial number.
    pub serial: Serial,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity, the last second that counts; within the issuer's.
    pub not_after: Timestamp,
    /// Its key, a DER `SubjectPublicKeyInfo`.
    pub spki_der: &'a [u8],
}

/// Signs the certificate of a delegated responder (RFC 6960 §4.2.2.2). Blocks as long as the signer does.
///
/// # Errors
/// As for [`crate::issue`].
pub fn create_responder(
    template: &ResponderTemplate<'_>,
    issuer_certificate: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let issuer = IssuerCertificate::read(issuer_certificate)?;
    issuer.require_key(signer)?;
    issuer.require_within(template.not_before, template.not_after)?;
    let mut params = params(template.serial, template.not_before, template.not_after);
    params.distinguished_name = name_under(&issuer);
    params.is_ca = IsCa::NoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    params.use_authority_key_identifier_extension = true;
    params
        .custom_extensions
        .push(CustomExtension::from_oid_content(NO_CHECK, NULL.to_vec()));
    let key = subject_key(template.spki_der)?;
    let der = sign_under(&params, &key, &issuer, signer)?;
    let made = check_signature(&der, &issuer)?;
    if made.public_key().raw != template.spki_der || made.is_ca() {
        return Err(IssueError::SelfCheck("its key or its purpose differs"));
    }
    Ok(der)
}

/// The issuer's organization, and a name that tells what it is.
fn name_under(issuer: &IssuerCertificate<'_>) -> DistinguishedName {
    let subject = issuer.parsed.subject();
    let mut name = DistinguishedName::new();
    let organization = subject.iter_organization().next();
    if let Some(organization) = organization.and_then(|one| one.as_str().ok()) {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, "OCSP responder");
    name
}
