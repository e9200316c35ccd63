//! Signing backends: what stands behind [`certfleet_pki::Signer`].
//!
//! Linked by workers and the command line only: what faces the internet holds no signing key. Today there is one
//! backend, a key in this process's memory ([`InternalKey`]), which lies sealed in the database when it is not in use.

mod algorithm;
mod internal;

pub use algorithm::{InvalidKeyAlgorithm, KeyAlgorithm};
pub use internal::{InternalKey, KeyError};
