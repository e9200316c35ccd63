//! What proves a challenge: the key authorization and its digest (RFC 8555 §8.1).

use aws_lc_rs::digest::{SHA256, digest};

use crate::base64url;

/// The key authorization of a token and an account key's [thumbprint](crate::PublicKey::thumbprint): the body that
/// http-01 is due to find (RFC 8555 §8.3).
pub fn key_authorization(token: &str, thumbprint: &str) -> String {
    format!("{token}.{thumbprint}")
}

/// SHA-256 of a key authorization, as tls-alpn-01 shows it in `acmeIdentifier` (RFC 8737 §3).
pub fn key_authorization_digest(key_authorization: &str) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, key_authorization.as_bytes()).as_ref());
    octets
}

/// The TXT record that dns-01 is due to find: SHA-256 of the key authorization in base64url (RFC 8555 §8.4).
pub fn dns01_value(key_authorization: &str) -> String {
    base64url::encode(key_authorization_digest(key_authorization))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_answer() {
        let text = key_authorization(
            "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        );
        assert_eq!(
            text,
            "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert_eq!(
            dns01_value(&text),
            "ZTRx1Ckl1-tM05o5zaizTTA0yUy5AGereMgSNWC6Ll8"
        );
    }
}
