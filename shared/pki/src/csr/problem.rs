//! Why a request is refused, in a sentence for the person at the client.

use certfleet_domain::{Identifier, InvalidIdentifier, Problem, ProblemKind};

use crate::public_key::WeakKey;

/// The rule that a request breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrProblem {
    /// Not a request in DER.
    #[error("the CSR is not a well-formed PKCS#10 request in DER (RFC 2986)")]
    Malformed,
    /// More octets than one request.
    #[error("there are octets behind the end of the CSR")]
    TrailingData,
    /// A version other than 1.
    #[error("the CSR's version is not 1 (encoded as 0), the only one there is")]
    Version,
    /// A key that is not accepted.
    #[error("the CSR's public key is refused: {0}")]
    Key(#[from] WeakKey),
    /// Signed over SHA-1, MD5 or older.
    #[error("the CSR is signed with SHA-1 or MD5, which can be forged; sign it with SHA-256")]
    BrokenHash,
    /// Signed with another algorithm; its OID.
    #[error(
        "the CSR's signature algorithm ({0}) is not supported; use ECDSA with SHA-256 or SHA-384, or RSA (PKCS#1 v1.5) \
         with SHA-256, SHA-384 or SHA-512"
    )]
    SignatureAlgorithm(String),
    /// The signature is not by the key in the request.
    #[error("the CSR's signature does not verify with the public key in it")]
    Signature,
    /// More than one extension request attribute.
    #[error("the CSR holds more than one extension request; one is allowed (RFC 2985 §5.4.2)")]
    RepeatedExtensionRequest,
    /// An extension that counts appears more than once; its OID.
    #[error("the CSR asks for the extension {0} more than once")]
    RepeatedExtension(String),
    /// A subject alternative name extension that does not parse.
    #[error("the CSR's subjectAltName extension is malformed")]
    MalformedNames,
    /// An alternative name that is neither a DNS name nor an IP address; its type.
    #[error(
        "the CSR's subjectAltName holds a name of type {0}; only dNSName and iPAddress are certified"
    )]
    NameType(&'static str),
    /// A DNS name that cannot be certified.
    #[error("the CSR names something that cannot be certified: {0}")]
    Name(#[from] InvalidIdentifier),
    /// An IP address that is neither 4 nor 16 octets; their number.
    #[error("the CSR's subjectAltName holds an iPAddress of {0} octets; 4 or 16 are due")]
    AddressLength(usize),
    /// A common name that is none of the names ordered.
    #[error(
        "the CSR's common name {0:?} is not among the order's identifiers; leave it out or set it to one of them"
    )]
    CommonName(String),
    /// A common name that is not text.
    #[error("the CSR's common name is not readable as text")]
    CommonNameEncoding,
    /// Other names than the order's.
    #[error(
        "the CSR's names are not those of the order: {}",
        differences(missing, extra)
    )]
    Names {
        /// Ordered, but not in the request.
        missing: Vec<Identifier>,
        /// In the request, but not ordered.
        extra: Vec<Identifier>,
    },
    /// A TLS feature extension with more or other than `status_request`.
    #[error(
        "the CSR's TLS feature extension (RFC 7633) asks for more than status_request, the only feature supported"
    )]
    TlsFeature,
}

impl CsrProblem {
    /// What to tell the client (RFC 8555 §7.4: `badCSR`).
    pub fn problem(&self) -> Problem {
        Problem::new(ProblemKind::BadCsr, self.to_string())
    }
}

/// How many names of each kind a sentence lists.
const LISTED: usize = 5;

fn differences(missing: &[Identifier], extra: &[Identifier]) -> String {
    let parts = [("missing", missing), ("not ordered", extra)];
    parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", list(names)))
        .collect::<Vec<_>>()
        .join("; ")
}

fn list(names: &[Identifier]) -> String {
    let listed: Vec<String> = names.iter().take(LISTED).map(ToString::to_string).collect();
    let listed = listed.join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}
