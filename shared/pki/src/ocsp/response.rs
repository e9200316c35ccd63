//! What is answered.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use certfleet_domain::{RevocationReason, Timestamp};
use yasna::models::{GeneralizedTime, ObjectIdentifier};
use yasna::{DERWriter, Tag};

use super::CertId;
use crate::certificate::{IssueError, IssuerCertificate, check_signature, read};
use crate::signer::{SignatureAlgorithm, Signer};

/// id-pkix-ocsp-basic (RFC 6960 §4.2.1).
const BASIC: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 1];

/// How a certificate is (RFC 6960 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspStatus {
    /// It was issued, and is not revoked.
    Good,
    /// It is revoked.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
}

/// What an answer is to say.
#[derive(Debug, Clone)]
pub struct OcspTemplate {
    /// Which certificate.
    pub id: CertId,
    /// How it is.
    pub status: OcspStatus,
    /// From when on that is known; parts of a second are dropped.
    pub this_update: Timestamp,
    /// By when there will be a newer answer.
    pub next_update: Timestamp,
}

/// An answer that says nothing of a certificate, and needs no signature (RFC 6960 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspRefusal {
    /// The request is none.
    MalformedRequest,
    /// Trouble of ours.
    InternalError,
    /// Later there will be an answer.
    TryLater,
    /// We know nothing of this certificate (RFC 5019 §2.2.3).
    Unauthorized,
}

impl OcspRefusal {
    /// The `OCSPResponse`, DER.
    pub fn to_der(self) -> Vec<u8> {
        let status = match self {
            Self::MalformedRequest => 1,
            Self::InternalError => 2,
            Self::TryLater => 3,
            Self::Unauthorized => 6,
        };
        yasna::construct_der(|writer| {
            writer.write_sequence(|response| response.next().write_enum(status));
        })
    }
}

/// Signs an answer. Blocks as long as the signer does.
///
/// # Errors
/// As for [`crate::issue`]; the issuer is the responder here, which has to be one of `issuer_certificate`'s.
pub fn create_ocsp_response(
    template: &OcspTemplate,
    issuer_certificate: &[u8],
    responder_certificate: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let issuer = IssuerCertificate::read(issuer_certificate)?;
    let responder = check_signature(responder_certificate, &issuer)?;
    if responder.public_key().raw != signer.spki_der() {
        return Err(IssueError::Issuer(
            "its key is not the one in its certificate",
        ));
    }
    if template.next_update.unix_timestamp() > responder.validity().not_after.timestamp() {
        return Err(IssueError::Template("it lasts longer than its responder"));
    }
    let key = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        &responder.public_key().subject_public_key.data,
    );
    let data = yasna::construct_der(|writer| response_data(writer, template, key.as_ref()));
    let signature = signer.sign(&data)?;
    let basic = yasna::construct_der(|writer| {
        writer.write_sequence(|basic| {
            basic.next().write_der(&data);
            signature_algorithm(basic.next(), signer.algorithm());
            basic
                .next()
                .write_bitvec_bytes(&signature, signature.len() * 8);
            // certs [0] EXPLICIT SEQUENCE OF Certificate
            basic.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|certificates| {
                    certificates.next().write_der(responder_certificate);
                });
            });
        });
    });
    let response = yasna::construct_der(|writer| {
        writer.write_sequence(|response| {
            // successful(0)
            response.next().write_enum(0);
            response.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|bytes| {
                    bytes.next().write_oid(&ObjectIdentifier::from_slice(BASIC));
                    bytes.next().write_bytes(&basic);
                });
            });
        });
    });
    verify(responder_certificate, signer.algorithm(), &data, &signature)?;
    Ok(response)
}

/// `ResponseData` (RFC 6960 §4.2.1).
fn response_data(writer: DERWriter<'_>, template: &OcspTemplate, key: &[u8]) {
    let this_update = generalized(template.this_update);
    writer.write_sequence(|data| {
        // responderID: byKey [2] EXPLICIT KeyHash
        data.next()
            .write_tagged(Tag::context(2), |writer| writer.write_bytes(key));
        // producedAt
        data.next().write_generalized_time(&this_update);
        data.next().write_sequence(|responses| {
            responses.next().write_sequence(|single| {
                template.id.write(single.next());
                certificate_status(single.next(), template.status);
                single.next().write_generalized_time(&this_update);
                single.next().write_tagged(Tag::context(0), |writer| {
                    writer.write_generalized_time(&generalized(template.next_update));
                });
            });
        });
    });
}

fn certificate_status(writer: DERWriter<'_>, status: OcspStatus) {
    match status {
        // good [0] IMPLICIT NULL
        OcspStatus::Good => {
            writer.write_tagged_implicit(Tag::context(0), null);
        }
        // revoked [1] IMPLICIT RevokedInfo
        OcspStatus::Revoked { at, reason } => {
            writer.write_tagged_implicit(Tag::context(1), |writer| {
                writer.write_sequence(|info| {
                    info.next().write_generalized_time(&generalized(at));
                    // As in CRLs: no reason is told by none (RFC 5280 §5.3.1).
                    if reason != RevocationReason::Unspecified {
                        info.next().write_tagged(Tag::context(0), |writer| {
                            writer.write_enum(reason.code());
                        });
                    }
                });
            });
        }
    }
}

fn null(writer: DERWriter<'_>) {
    writer.write_null();
}

/// As RFC 6960 §4.2.2.1 has times: whole seconds.
fn generalized(time: Timestamp) -> GeneralizedTime {
    let time = time.replace_nanosecond(0).unwrap_or(time);
    GeneralizedTime::from_datetime(time)
}

/// `AlgorithmIdentifier` of a signature (RFC 5758 §3.2, RFC 4055 §5).
fn signature_algorithm(writer: DERWriter<'_>, algorithm: SignatureAlgorithm) {
    let (oid, has_parameters): (&[u64], bool) = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => (&[1, 2, 840, 10_045, 4, 3, 2], false),
        SignatureAlgorithm::EcdsaP384Sha384 => (&[1, 2, 840, 10_045, 4, 3, 3], false),
        SignatureAlgorithm::RsaPkcs1Sha256 => (&[1, 2, 840, 113_549, 1, 1, 11], true),
    };
    writer.write_sequence(|identifier| {
        identifier
            .next()
            .write_oid(&ObjectIdentifier::from_slice(oid));
        if has_parameters {
            identifier.next().write_null();
        }
    });
}

/// The signature is the responder's.
fn verify(
    responder: &[u8],
    algorithm: SignatureAlgorithm,
    data: &[u8],
    signature: &[u8],
) -> Result<(), IssueError> {
    let responder = read(responder).map_err(|_| IssueError::SelfCheck("no responder"))?;
    let key = &responder.public_key().subject_public_key.data;
    algorithm
        .verify(key, data, signature)
        .map_err(|_| IssueError::SelfCheck("its signature does not verify"))
}
