//! Extensions that rcgen has no field for.

use rcgen::CustomExtension;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag};

use super::IssueError;

/// id-ce-certificatePolicies (RFC 5280 §4.2.1.4).
const CERTIFICATE_POLICIES: &[u64] = &[2, 5, 29, 32];
/// CA/Browser Forum: the names were validated, nothing else was.
pub(super) const DOMAIN_VALIDATED: &[u64] = &[2, 23, 140, 1, 2, 1];
/// anyPolicy: what an intermediate may issue under.
pub(crate) const ANY_POLICY: &[u64] = &[2, 5, 29, 32, 0];
/// id-pe-authorityInfoAccess (RFC 5280 §4.2.2.1).
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
const CA_ISSUERS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 2];
const OCSP: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1];
/// id-pe-tlsfeature (RFC 7633 §4).
pub(crate) const TLS_FEATURE_OID: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];
/// The list of the one feature `status_request`(5), DER.
pub(crate) const TLS_FEATURE_STATUS_REQUEST: &[u8] = &[0x30, 0x03, 0x02, 0x01, 0x05];

/// Must-staple.
pub(super) fn tls_feature() -> CustomExtension {
    CustomExtension::from_oid_content(TLS_FEATURE_OID, TLS_FEATURE_STATUS_REQUEST.to_vec())
}

/// The one policy a certificate is issued under.
pub(crate) fn certificate_policies(policy: &[u64]) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|policies| {
            policies.next().write_sequence(|information| {
                information
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(policy));
            });
        });
    });
    CustomExtension::from_oid_content(CERTIFICATE_POLICIES, content)
}

/// Where to find the issuer's certificate.
pub(crate) fn issuer_access(url: Option<&str>) -> Result<Option<CustomExtension>, IssueError> {
    authority_access(url, None)
}

/// Where to find the issuer's certificate and its OCSP responder.
pub(super) fn authority_access(
    issuer_url: Option<&str>,
    ocsp_url: Option<&str>,
) -> Result<Option<CustomExtension>, IssueError> {
    let descriptions: Vec<(&[u64], &str)> = [(OCSP, ocsp_url), (CA_ISSUERS, issuer_url)]
        .into_iter()
        .filter_map(|(method, url)| url.map(|url| (method, url)))
        .collect();
    if descriptions.is_empty() {
        return Ok(None);
    }
    for (_, url) in &descriptions {
        require_http(url)?;
    }
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|list| {
            for (method, url) in descriptions {
                write_access_description(list.next(), method, url);
            }
        });
    });
    Ok(Some(CustomExtension::from_oid_content(
        AUTHORITY_INFO_ACCESS,
        content,
    )))
}

fn write_access_description(writer: DERWriter<'_>, method: &[u64], url: &str) {
    writer.write_sequence(|description| {
        description
            .next()
            .write_oid(&ObjectIdentifier::from_slice(method));
        // uniformResourceIdentifier [6] IA5String
        description
            .next()
            .write_tagged_implicit(Tag::context(6), |writer| writer.write_ia5_string(url));
    });
}

/// Plain HTTP, as the Baseline Requirements want it: a client that fetches these cannot yet verify TLS.
pub(crate) fn require_http(url: &str) -> Result<(), IssueError> {
    let plain = url.bytes().all(|octet| octet.is_ascii_graphic());
    if plain && url.len() > "http://".len() && url.starts_with("http://") {
        Ok(())
    } else {
        Err(IssueError::Template(
            "a URL of CRL, issuer or OCSP is not a plain http:// URL",
        ))
    }
}
