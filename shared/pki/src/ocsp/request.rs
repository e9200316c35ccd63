//! What is asked: the status of one certificate.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use certfleet_domain::CertIdHash;
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, BERReader, DERWriter, Tag};

use crate::certificate::{IssueError, IssuerCertificate};
use crate::der::algorithm_identifier;

/// id-sha1 (RFC 3279 §2.1) and id-sha256 (RFC 4055 §2.1).
const SHA1_OID: &[u64] = &[1, 3, 14, 3, 2, 26];
const SHA256_OID: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

fn oid(hash: CertIdHash) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(match hash {
        CertIdHash::Sha1 => SHA1_OID,
        CertIdHash::Sha256 => SHA256_OID,
    })
}

fn algorithm(hash: CertIdHash) -> &'static Algorithm {
    match hash {
        CertIdHash::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
        CertIdHash::Sha256 => &SHA256,
    }
}

/// Which certificate is asked about (RFC 6960 §4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertId {
    /// How the issuer is named.
    pub hash: CertIdHash,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    /// The serial number's octets, big-endian.
    pub serial: Vec<u8>,
}

/// Octets that are no request that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an OCSP request for one certificate, its issuer named by SHA-1 or SHA-256 (RFC 5019 §2.1)"
)]
pub struct MalformedOcspRequest;

impl CertId {
    /// The certificate that a request asks about, which is one (RFC 5019 §2.1.1). Extensions, a nonce among them, and a
    /// signature are passed over (RFC 5019 §2.1.2).
    ///
    /// # Errors
    /// Not exactly one DER `OCSPRequest` with exactly one certificate in it.
    pub fn from_request(der: &[u8]) -> Result<Self, MalformedOcspRequest> {
        yasna::parse_der(der, ocsp_request)
            .ok()
            .flatten()
            .ok_or(MalformedOcspRequest)
    }

    /// That of a certificate, to name it in an answer or to ask about it.
    ///
    /// # Errors
    /// The issuer's certificate is none.
    pub fn of(
        hash: CertIdHash,
        issuer_certificate: &[u8],
        serial: &[u8],
    ) -> Result<Self, IssueError> {
        let issuer = IssuerCertificate::read(issuer_certificate)?;
        let hashed = |octets: &[u8]| digest(algorithm(hash), octets).as_ref().to_vec();
        Ok(Self {
            hash,
            issuer_name: hashed(issuer.parsed.subject().as_raw()),
            // The key's octets alone, without the tag, length and number of unused bits (RFC 6960 §4.1.1).
            issuer_key: hashed(&issuer.parsed.public_key().subject_public_key.data),
            serial: serial.to_vec(),
        })
    }

    /// Whether this is the issuer that it names.
    pub fn names_issuer(&self, issuer_certificate: &[u8]) -> bool {
        Self::of(self.hash, issuer_certificate, &self.serial).is_ok_and(|same| same == *self)
    }

    pub(super) fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|id| {
            id.next().write_sequence(|algorithm| {
                algorithm.next().write_oid(&oid(self.hash));
                algorithm.next().write_null();
            });
            id.next().write_bytes(&self.issuer_name);
            id.next().write_bytes(&self.issuer_key);
            id.next().write_bigint_bytes(&self.serial, true);
        });
    }
}

/// `OCSPRequest` (RFC 6960 §4.1.1). `None` if it is one, and yet none that can be answered.
fn ocsp_request(reader: BERReader<'_, '_>) -> ASN1Result<Option<CertId>> {
    reader.read_sequence(|request| {
        let id = request.next().read_sequence(|tbs| {
            // version [0] EXPLICIT INTEGER DEFAULT v1: whoever writes the default, is understood.
            let number =
                tbs.read_optional(|reader| reader.read_tagged(Tag::context(0), version))?;
            // requestorName [1] EXPLICIT GeneralName
            skip_tagged(tbs, 1)?;
            let mut ids = tbs
                .next()
                .collect_sequence_of(|reader| reader.read_sequence(single_request))?;
            // requestExtensions [2] EXPLICIT Extensions
            skip_tagged(tbs, 2)?;
            let one = (ids.len() == 1).then(|| ids.pop()).flatten().flatten();
            Ok(one.filter(|_| number.unwrap_or_default() == 0))
        })?;
        // optionalSignature [0] EXPLICIT Signature
        skip_tagged(request, 0)?;
        Ok(id)
    })
}

fn single_request(request: &mut yasna::BERReaderSeq<'_, '_>) -> ASN1Result<Option<CertId>> {
    let id = request.next().read_sequence(|id| {
        let (named, _) = algorithm_identifier(id.next())?;
        let hash = CertIdHash::ALL.into_iter().find(|hash| oid(*hash) == named);
        let issuer_name = id.next().read_bytes()?;
        let issuer_key = id.next().read_bytes()?;
        let (serial, positive) = id.next().read_bigint_bytes()?;
        Ok(hash.filter(|_| positive).map(|hash| CertId {
            hash,
            issuer_name,
            issuer_key,
            serial,
        }))
    })?;
    // singleRequestExtensions [0] EXPLICIT Extensions
    skip_tagged(request, 0)?;
    Ok(id)
}

/// `Version`.
fn version(reader: BERReader<'_, '_>) -> ASN1Result<u8> {
    reader.read_u8()
}

/// Passes over an optional element of this context tag.
fn skip_tagged(sequence: &mut yasna::BERReaderSeq<'_, '_>, tag: u64) -> ASN1Result<()> {
    sequence.read_optional(|reader| {
        reader.read_tagged(Tag::context(tag), |reader| reader.read_der().map(drop))
    })?;
    Ok(())
}
