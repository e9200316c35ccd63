//! Ids of one length for texts of any.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// How many octets of the digest make an id: as many as a UUID has.
const LENGTH: usize = 16;

/// The first 128 bits of the text's SHA-256, in hex.
pub(crate) fn hex_digest(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    let mut hex = String::with_capacity(2 * LENGTH);
    for octet in digest.as_ref().iter().take(LENGTH) {
        // Writing to a String does not fail.
        let _ = write!(hex, "{octet:02x}");
    }
    hex
}
