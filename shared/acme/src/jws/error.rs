//! Every way in which a request's JWS can be refused, with its problem kind and its sentence.

use certfleet_domain::{Problem, ProblemKind};

use super::MAX_BODY;
use crate::algorithm::Algorithm;
use crate::base64url::InvalidBase64Url;
use crate::jwk::InvalidJwk;

/// Why a request is refused. Its text is the `detail` of the problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// The media type is another.
    #[error("the Content-Type of a signed request has to be application/jose+json (RFC 8555 §6.2)")]
    ContentType,
    /// The body is too large.
    #[error("the body is larger than {MAX_BODY} octets")]
    TooLarge,
    /// The body is not one JSON object.
    #[error("the body is not a JWS in flattened JSON serialization (RFC 7515 §7.2.2): {0}")]
    Body(String),
    /// The body is a JWS with several signatures.
    #[error(
        "the general JSON serialization with \"signatures\" is not accepted: a flattened JWS with one signature is due (RFC 8555 §6.2)"
    )]
    SeveralSignatures,
    /// There are header parameters outside of what is signed.
    #[error(
        "the unprotected \"header\" is not accepted: all header parameters have to be protected (RFC 8555 §6.2)"
    )]
    UnprotectedHeader,
    /// A member of the JWS is missing or not text.
    #[error("the JWS has no member {0:?} that is a string")]
    Member(&'static str),
    /// A member of the JWS is not base64url.
    #[error("the JWS member {member:?} cannot be read: {source}")]
    Encoding {
        /// Its name.
        member: &'static str,
        /// What was wrong.
        source: InvalidBase64Url,
    },
    /// The protected header is not one JSON object.
    #[error("the protected header cannot be read: {0}")]
    Header(String),
    /// A header parameter is of the wrong type.
    #[error("the header parameter {0:?} is not a string")]
    Parameter(&'static str),
    /// There are extensions that have to be understood.
    #[error("the header parameter \"crit\" is not accepted: no critical extension is supported")]
    Critical,
    /// The payload is not base64url.
    #[error(
        "the header parameter \"b64\" is not accepted: the payload has to be base64url (RFC 8555 §6.2)"
    )]
    UnencodedPayload,
    /// There is no algorithm.
    #[error("the protected header has no \"alg\"")]
    NoAlgorithm,
    /// There is no signature.
    #[error("the algorithm \"none\" is not accepted: requests have to be signed")]
    Unsigned,
    /// There is a MAC in place of a signature.
    #[error(
        "the algorithm {0:?} is a MAC, which is not accepted here: requests have to be signed (RFC 8555 §6.2)"
    )]
    Mac(String),
    /// Another algorithm.
    #[error("the algorithm {0:?} is not supported")]
    UnsupportedAlgorithm(String),
    /// The algorithm is supported, but is not the key's.
    #[error("the algorithm {algorithm} does not go with the key, which is {key}: {due} is due")]
    AlgorithmMismatch {
        /// The algorithm given.
        algorithm: Algorithm,
        /// The kind of the key.
        key: &'static str,
        /// The algorithm that goes with it.
        due: Algorithm,
    },
    /// Both ways to name a key are used.
    #[error(
        "the protected header has both \"jwk\" and \"kid\": exactly one is due (RFC 8555 §6.2)"
    )]
    TwoKeys,
    /// No way to name a key is used.
    #[error(
        "the protected header has neither \"jwk\" nor \"kid\": exactly one is due (RFC 8555 §6.2)"
    )]
    NoKey,
    /// The key itself cannot be used.
    #[error("{0}")]
    PublicKey(InvalidJwk),
    /// There is no nonce.
    #[error("the protected header has no \"nonce\" (RFC 8555 §6.5)")]
    NoNonce,
    /// The nonce is not base64url.
    #[error("the nonce cannot be read: {0}")]
    Nonce(InvalidBase64Url),
    /// There is no URL.
    #[error("the protected header has no \"url\" (RFC 8555 §6.4)")]
    NoUrl,
    /// The request was signed for another URL.
    #[error("the request was signed for the URL {given:?} but sent to {due:?} (RFC 8555 §6.4)")]
    Url {
        /// The URL it was signed for.
        given: String,
        /// The URL it was sent to.
        due: String,
    },
    /// The signature is not the key's.
    #[error("the signature does not verify with the key")]
    Signature,
    /// The payload is not what the resource takes.
    #[error("the payload cannot be read: {0}")]
    Payload(String),
    /// The payload is empty where one is due.
    #[error(
        "this resource takes a JSON object as payload; an empty payload is for POST-as-GET (RFC 8555 §6.3)"
    )]
    NoPayload,
    /// There is a payload where none is due.
    #[error("this resource takes POST-as-GET only: the payload has to be empty (RFC 8555 §6.3)")]
    NotPostAsGet,
    /// The inner JWS of a key rollover is refused by itself.
    #[error("in the inner JWS: {0}")]
    Inner(Box<JwsError>),
    /// The inner JWS names its key by account.
    #[error("the inner JWS has to name the new key by \"jwk\" (RFC 8555 §7.3.5)")]
    InnerKid,
    /// The inner JWS has a nonce.
    #[error("the inner JWS must not have a \"nonce\" (RFC 8555 §7.3.5)")]
    InnerNonce,
    /// The outer JWS is not the account's.
    #[error("the outer JWS has to name the account by \"kid\" (RFC 8555 §7.3.5)")]
    OuterJwk,
    /// The inner JWS is about another account.
    #[error(
        "the \"account\" of the key change is not the account that signed the request (RFC 8555 §7.3.5)"
    )]
    OtherAccount,
    /// The inner JWS is about another key.
    #[error("the \"oldKey\" of the key change is not the account's key (RFC 8555 §7.3.5)")]
    OtherOldKey,
}

impl JwsError {
    /// The problem kind.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Unsigned
            | Self::Mac(_)
            | Self::UnsupportedAlgorithm(_)
            | Self::AlgorithmMismatch { .. } => ProblemKind::BadSignatureAlgorithm,
            Self::PublicKey(_) => ProblemKind::BadPublicKey,
            // RFC 8555 §6.5: a nonce that is not present is like one that is not acceptable.
            Self::NoNonce => ProblemKind::BadNonce,
            Self::Url { .. } => ProblemKind::Unauthorized,
            Self::Inner(inner) => inner.kind(),
            Self::ContentType
            | Self::TooLarge
            | Self::Body(_)
            | Self::SeveralSignatures
            | Self::UnprotectedHeader
            | Self::Member(_)
            | Self::Encoding { .. }
            | Self::Header(_)
            | Self::Parameter(_)
            | Self::Critical
            | Self::UnencodedPayload
            | Self::NoAlgorithm
            | Self::TwoKeys
            | Self::NoKey
            | Self::Nonce(_)
            | Self::NoUrl
            | Self::Signature
            | Self::Payload(_)
            | Self::NoPayload
            | Self::NotPostAsGet
            | Self::InnerKid
            | Self::InnerNonce
            | Self::OuterJwk
            | Self::OtherAccount
            | Self::OtherOldKey => ProblemKind::Malformed,
        }
    }

    /// The HTTP status: the kind's, but for what HTTP has a status of its own.
    pub fn status(&self) -> u16 {
        match self {
            Self::ContentType => 415,
            Self::TooLarge => 413,
            _ => self.kind().status(),
        }
    }

    /// The problem to tell the client.
    pub fn problem(&self) -> Problem {
        Problem::new(self.kind(), self.to_string())
    }
}
