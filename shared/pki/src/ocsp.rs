//! OCSP (RFC 6960), in the profile for many requests (RFC 5019): one certificate a request, no nonce, answers that are
//! signed once and can be cached.
//!
//! Answers are signed by a delegated responder (RFC 6960 §4.2.2.2), a key of its own with a short-lived certificate of
//! the issuer's, so that the issuer's key is not used for each of them.

mod request;
mod responder;
mod response;
#[cfg(test)]
mod tests;

pub use request::{CertId, MalformedOcspRequest};
pub use responder::{ResponderTemplate, create_responder};
pub use response::{OcspRefusal, OcspStatus, OcspTemplate, create_ocsp_response};
