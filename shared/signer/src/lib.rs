//! Backends of the Signer port: what makes, keeps and uses an authority's private key.
//!
//! Separate from `certfleet-pki` so that what must not hold signing keys does not link them. Only workers and the
//! operator's command depend on this crate.
//!
//! A [`SigningKey`] is what is kept of an authority's key, sealed: the key itself, or the tokens that it is in.

mod algorithm;
mod breaker;
mod der;
mod failover;
mod internal;
mod kept;
mod token;

pub use algorithm::{InvalidKeyAlgorithm, KeyAlgorithm};
pub use failover::Tokens;
pub use internal::{InternalKey, KeyError};
pub use kept::SigningKey;
