//! What stands for certificates and tokens in the database: digests.

use aws_lc_rs::digest::{SHA256, digest};
use certfleet_domain::{Fingerprint, TokenDigest};

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut copy = [0; 32];
    copy.copy_from_slice(digest(&SHA256, octets).as_ref());
    copy
}

/// The fingerprint of a certificate, DER.
pub fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Fingerprint::new(sha256(certificate))
}

/// What is kept of the token of an invitation. It has 256 random bits, so that its digest tells nothing of it.
pub fn token_digest(token: &str) -> TokenDigest {
    TokenDigest::new(sha256(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_sha_256_digest() {
        // FIPS 180-4's example.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint(b"abc").to_string(), digest);
    }
}
