//! X.509 for the authority: which requests are good enough to sign, and what is signed for them.
//!
//! Pure: no IO, no clock, no key. What signs stands behind the [`Signer`] port; its backends live in
//! `certfleet-signer`, which only workers and the command line link. The API links this crate alone.
//!
//! Promises: bytes from the network never panic here; a certificate is handed out only after its signature and
//! contents have been read back and compared with what was asked for.

mod certificate;
mod chain;
mod crl;
mod csr;
mod der;
mod hierarchy;
mod leaf;
mod ocsp;
mod public_key;
mod signer;
#[cfg(test)]
mod testing;
mod urls;
mod weak_key;

pub use certificate::{
    CertificateTemplate, IssueError, NotACertificate, SHORT_LIVED_SECONDS,
    authority_key_identifier, fingerprint_of_certificate, issue, issuer_name_of_certificate,
    issuer_of_certificate, names_of_certificate, serial_of_certificate, spki_of_certificate,
    validity_of_certificate, within_issuer,
};
pub use chain::{NoChain, certificate_pem, certificates_from_pem, chain, chain_pem};
pub use crl::{CrlTemplate, create_crl};
pub use csr::{CheckedCsr, CsrProblem, create_csr};
pub use hierarchy::{
    CaSubject, HierarchyProblem, IntermediateTemplate, InvalidCaSubject, RootTemplate,
    check_hierarchy, create_intermediate, create_root,
};
pub use leaf::{Leaf, NoLeaf};
pub use ocsp::{
    CertId, MalformedOcspRequest, OcspRefusal, OcspStatus, OcspTemplate, ResponderTemplate,
    create_ocsp_response, create_responder,
};
pub use public_key::{WeakKey, public_key_strength, rsa_key_strength};
pub use signer::{BadSignature, SignatureAlgorithm, Signer, SignerError, read_spki};
pub use urls::PkiUrls;
