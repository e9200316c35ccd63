//! What ACME (RFC 8555) looks like on the wire: one set of types, for the server and for clients of it.
//!
//! * [`Jws`]: a signed request, parsed strictly; its payload is out of reach until the signature was verified.
//! * [`PublicKey`]: an account's key as a JWK, and what it can verify.
//! * [`NonceKeys`]: nonces that every replica can mint and check alone, and that one database write spends.
//! * [`ProblemDocument`]: what the client is told when something is wrong.
//! * [`messages`]: the body of every request and answer.
//! * [`SigningKey`]: the client's side of a request.
//!
//! Nothing here does IO, reads a clock or panics on hostile input. Every refusal is a type with its own problem
//! kind and a sentence that helps the person at the client.

mod algorithm;
mod base64url;
mod cert_id;
mod json;
mod jwk;
mod jws;
mod key_authorization;
mod nonce;
mod problem;
mod signing;

pub mod media_type;
pub mod messages;

pub use algorithm::Algorithm;
pub use base64url::{Base64Url, InvalidBase64Url};
pub use cert_id::{CertId, InvalidCertId};
pub use jwk::{InvalidJwk, KeyKind, PublicKey};
pub use jws::{
    BindingError, Jws, JwsError, KeyChange, KeyReference, MAX_BODY, UnverifiedBinding, Verified,
    bind,
};
pub use key_authorization::{dns01_value, key_authorization, key_authorization_digest};
pub use nonce::{
    CLOCK_TOLERANCE, DuplicateNonceKey, NONCE_ID_LEN, NonceError, NonceKey, NonceKeys,
    SpendableNonce,
};
pub use problem::{ProblemDocument, Subproblem};
pub use signing::{SigningFailed, SigningKey};
