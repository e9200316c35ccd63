//! An authority's own certificates: a root that signs an intermediate, which signs for subscribers.

use crate::certificate::{
    ANY_POLICY, IssueError, IssuerCertificate, add_crl, certificate_policies, check_signature,
    issuer_access, params, sign_itself, sign_under, subject_key,
};
use crate::public_key::public_key_strength;
use crate::signer::Signer;
use certfleet_domain::{Serial, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
};

mod check;
#[cfg(test)]
mod tests;

pub use check::{HierarchyProblem, check_hierarchy};

/// The name of a certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaSubject {
    common_name: String,
    organization: String,
    country: Option<String>,
}

/// Text that cannot be part of an authority's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCaSubject {
    /// Common name or organization.
    #[error("the {0} has to be 1 to 64 printable characters (RFC 5280, appendix A.1)")]
    Text(&'static str),
    /// Country.
    #[error("the country has to be two capital letters (ISO 3166-1), such as DE")]
    Country,
}

impl CaSubject {
    /// A name of common name, organization and, where given, country. Public roots need a country.
    ///
    /// # Errors
    /// What cannot stand in a certificate.
    pub fn new(
        common_name: &str,
        organization: &str,
        country: Option<&str>,
    ) -> Result<Self, InvalidCaSubject> {
        let letters = |country: &str| {
            country.len() == 2 && country.bytes().all(|octet| octet.is_ascii_uppercase())
        };
        if country.is_some_and(|country| !letters(country)) {
            return Err(InvalidCaSubject::Country);
        }
        Ok(Self {
            common_name: printable(common_name, "common name")?,
            organization: printable(organization, "organization")?,
            country: country.map(str::to_owned),
        })
    }

    fn distinguished_name(&self) -> Result<DistinguishedName, IssueError> {
        let mut name = DistinguishedName::new();
        if let Some(country) = &self.country {
            let country = country
                .as_str()
                .try_into()
                .map_err(|_| IssueError::Template("the country is not printable"))?;
            name.push(DnType::CountryName, DnValue::PrintableString(country));
        }
        name.push(DnType::OrganizationName, self.organization.as_str());
        name.push(DnType::CommonName, self.common_name.as_str());
        Ok(name)
    }
}

fn printable(text: &str, what: &'static str) -> Result<String, InvalidCaSubject> {
    let fits = (1..=64).contains(&text.chars().count());
    if fits && text.trim() == text && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(InvalidCaSubject::Text(what))
    }
}

/// What a root is to be.
#[derive(Debug, Clone)]
pub struct RootTemplate {
    /// Its name.
    pub subject: CaSubject,
    /// Its serial number.
    pub serial: Serial,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity, the last second that counts.
    pub not_after: Timestamp,
}

/// What an intermediate is to be.
#[derive(Debug, Clone)]
pub struct IntermediateTemplate<'a> {
    /// Its name.
    pub subject: CaSubject,
    /// Its serial number.
    pub serial: Serial,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity, the last second that counts; within the root's.
    pub not_after: Timestamp,
    /// Its key, a DER `SubjectPublicKeyInfo`.
    pub spki_der: &'a [u8],
    /// Where the root's CRL is.
    pub crl_url: Option<&'a str>,
    /// Where the root's certificate is.
    pub issuer_url: Option<&'a str>,
}

/// Makes a self-signed root. Blocks as long as the signer does.
///
/// # Errors
/// As for [`crate::issue`].
pub fn create_root(template: &RootTemplate, signer: &dyn Signer) -> Result<Vec<u8>, IssueError> {
    if template.not_after < template.not_before {
        return Err(IssueError::Template("its validity ends before it starts"));
    }
    public_key_strength(&signer.spki_der())?;
    let validity = (template.not_before, template.not_after);
    let mut params = authority_params(&template.subject, template.serial, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    let der = sign_itself(&params, signer)?;
    let root = IssuerCertificate::read(&der)?;
    root.require_key(signer)?;
    check_signature(&der, &root)?;
    Ok(der)
}

/// Makes an intermediate that may sign for subscribers, not for further authorities. Blocks as long as the signer does.
///
/// # Errors
/// As for [`crate::issue`].
pub fn create_intermediate(
    template: &IntermediateTemplate<'_>,
    root_certificate: &[u8],
    root_signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let root = IssuerCertificate::read(root_certificate)?;
    root.require_key(root_signer)?;
    root.require_within(template.not_before, template.not_after)?;
    public_key_strength(template.spki_der)?;
    let validity = (template.not_before, template.not_after);
    let mut params = authority_params(&template.subject, template.serial, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    add_crl(&mut params, template.crl_url)?;
    params
        .custom_extensions
        .extend(issuer_access(template.issuer_url)?);
    params
        .custom_extensions
        .push(certificate_policies(ANY_POLICY));
    let key = subject_key(template.spki_der)?;
    let der = sign_under(&params, &key, &root, root_signer)?;
    let signed = check_signature(&der, &root)?;
    if signed.public_key().raw != template.spki_der || !signed.is_ca() {
        return Err(IssueError::SelfCheck("its key or its purpose differs"));
    }
    Ok(der)
}

fn authority_params(
    subject: &CaSubject,
    serial: Serial,
    (not_before, not_after): (Timestamp, Timestamp),
) -> Result<CertificateParams, IssueError> {
    let mut params = params(serial, not_before, not_after);
    params.distinguished_name = subject.distinguished_name()?;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}
