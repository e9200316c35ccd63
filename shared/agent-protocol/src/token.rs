//! What stands for a token in the database.

use aws_lc_rs::digest::{SHA256, digest};
use certfleet_domain::TokenDigest;

/// What is kept of the token of an invitation. It has 256 random bits, so that its digest tells nothing of it.
pub fn token_digest(token: &str) -> TokenDigest {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    TokenDigest::new(octets)
}
