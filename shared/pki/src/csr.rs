//! Certificate signing requests (RFC 2986) as finalize receives them (RFC 8555 §7.4).
//!
//! A [`CheckedCsr`] has passed every rule there is: whoever holds one may sign it. Of what a request asks for, only
//! its key, its names and must-staple count; all other extensions and attributes are ignored.

use certfleet_domain::Identifier;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::extensions::X509Extension;
use x509_parser::oid_registry::{
    OID_MD5_WITH_RSA, OID_PKCS1_MD2WITHRSAENC, OID_PKCS1_MD4WITHRSAENC, OID_PKCS1_MD5WITHRSAENC,
    OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA, OID_SHA1_WITH_RSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::certificate::{TLS_FEATURE_OID, TLS_FEATURE_STATUS_REQUEST};
use crate::der::algorithm_identifier;
use crate::public_key::public_key_strength;

mod create;
pub(crate) mod names;
mod problem;
#[cfg(test)]
mod tests;

pub use create::create_csr;
pub use problem::CsrProblem;

/// A request that has passed every rule for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCsr {
    der: Vec<u8>,
    spki_der: Vec<u8>,
    must_staple: bool,
}

impl CheckedCsr {
    /// Checks a DER request against the names that were ordered.
    ///
    /// # Errors
    /// The first rule that the request breaks; all of them are `badCSR` to the client.
    pub fn parse(der: &[u8], ordered: &[Identifier]) -> Result<Self, CsrProblem> {
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| CsrProblem::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrProblem::TrailingData);
        }
        if !has_exact_structure(der) {
            return Err(CsrProblem::Malformed);
        }
        let info = &request.certification_request_info;
        if info.version != X509Version::V1 {
            return Err(CsrProblem::Version);
        }
        let extensions = requested_extensions(&request)?;
        public_key_strength(info.subject_pki.raw)?;
        check_signature(&request)?;
        let alternative_names = unique(&extensions, &OID_X509_EXT_SUBJECT_ALT_NAME)?;
        names::check(&info.subject, alternative_names, ordered)?;
        Ok(Self {
            der: der.to_vec(),
            spki_der: info.subject_pki.raw.to_vec(),
            must_staple: must_staple(&extensions)?,
        })
    }

    /// The request as it came, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key to be certified, a DER `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Whether the certificate is to carry the TLS feature extension with `status_request` (RFC 7633).
    pub fn must_staple(&self) -> bool {
        self.must_staple
    }
}

/// Whether the outer levels hold what RFC 2986 §4 lists and nothing else. The parser above is lenient there: it
/// overlooks elements behind the last one it knows, and some tags.
fn has_exact_structure(der: &[u8]) -> bool {
    yasna::parse_der(der, |reader| {
        reader.read_sequence(|request| {
            request.next().read_sequence(|info| {
                info.next().read_u8()?;
                info.next().read_der()?;
                info.next().read_der()?;
                info.next().read_der()
            })?;
            algorithm_identifier(request.next())?;
            request.next().read_bitvec_bytes()
        })
    })
    .is_ok()
}

/// The extensions asked for (RFC 2985 §5.4.2), at most one list of them.
fn requested_extensions<'a>(
    request: &'a X509CertificationRequest<'a>,
) -> Result<Vec<&'a X509Extension<'a>>, CsrProblem> {
    let mut lists = request
        .certification_request_info
        .iter_attributes()
        .filter_map(|attribute| match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(list) => Some(list),
            ParsedCriAttribute::ChallengePassword(_) | ParsedCriAttribute::UnsupportedAttribute => {
                None
            }
        });
    let list = lists.next();
    if lists.next().is_some() {
        return Err(CsrProblem::RepeatedExtensionRequest);
    }
    Ok(list.map_or_else(Vec::new, |list| list.extensions.iter().collect()))
}

fn unique<'a>(
    extensions: &[&'a X509Extension<'a>],
    oid: &Oid<'_>,
) -> Result<Option<&'a X509Extension<'a>>, CsrProblem> {
    let mut found = extensions
        .iter()
        .filter(|extension| extension.oid == *oid)
        .copied();
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(CsrProblem::RepeatedExtension(oid.to_id_string())),
    }
}

/// The proof of possession: signed with the key to be certified, over a hash that still holds.
fn check_signature(request: &X509CertificationRequest<'_>) -> Result<(), CsrProblem> {
    let algorithm = &request.signature_algorithm.algorithm;
    let accepted = [
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
    ];
    let broken = [
        OID_PKCS1_SHA1WITHRSA,
        OID_SHA1_WITH_RSA,
        OID_PKCS1_MD2WITHRSAENC,
        OID_PKCS1_MD4WITHRSAENC,
        OID_PKCS1_MD5WITHRSAENC,
        OID_MD5_WITH_RSA,
        // ecdsa-with-SHA1 (RFC 3279 §2.2.3)
        oid!(1.2.840.10045.4.1),
    ];
    if broken.contains(algorithm) {
        return Err(CsrProblem::BrokenHash);
    }
    if !accepted.contains(algorithm) {
        return Err(CsrProblem::SignatureAlgorithm(algorithm.to_id_string()));
    }
    request
        .verify_signature()
        .map_err(|_| CsrProblem::Signature)
}

fn must_staple(extensions: &[&X509Extension<'_>]) -> Result<bool, CsrProblem> {
    let oid = Oid::from(TLS_FEATURE_OID).map_err(|_| CsrProblem::Malformed)?;
    match unique(extensions, &oid)? {
        None => Ok(false),
        Some(extension) if extension.value == TLS_FEATURE_STATUS_REQUEST => Ok(true),
        Some(_) => Err(CsrProblem::TlsFeature),
    }
}
