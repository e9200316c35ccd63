//! Keys that stay in a PKCS#11 token (OASIS PKCS#11 v2.40 and up): an HSM, a cloud's, or SoftHSM.
//!
//! - [`TokenAccess`]: the module that reaches tokens, and where the PIN is. What the settings say, nothing of which is
//!   tried before it is needed: a token that is away at the start is waited for like one that goes away later.
//! - [`TokenKey`]: one key in a token, found by its labels. It never leaves: what is encrypted or signed goes there.
//!
//! A call that fails because the token was away, or was started anew, is made once more with new sessions, and then given up
//! as [`TokenError::Unavailable`]. A PIN that was refused is not tried again: tokens lock after a few.
//!
//! All calls block. Whoever is asynchronous makes them where blocking is allowed.

mod access;
mod error;
mod kek;
mod key;
mod module;
mod sessions;

pub use access::TokenAccess;
pub use error::TokenError;
pub use kek::TokenKek;
pub use key::{KeyKind, PublicHalf, TokenKey};
