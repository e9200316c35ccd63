//! `CertID`: how ARI names a certificate (RFC 9773 §4.1): `base64url(AKI keyIdentifier) "." base64url(serial)`.

use std::fmt;
use std::str::FromStr;

use crate::base64url;

/// The longest key identifier or serial number that is taken, in octets.
const LONGEST: usize = 64;

/// Names a certificate by its issuer's key and its serial number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertId {
    /// The keyIdentifier of the authority key identifier extension.
    pub key_identifier: Vec<u8>,
    /// The content octets of the serial number's DER, so with a leading zero where its first bit is set.
    pub serial: Vec<u8>,
}

/// Text that is not a `CertID`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a CertID: base64url of the authority key identifier, a dot, and base64url of the serial number are due (RFC 9773 §4.1)"
)]
pub struct InvalidCertId;

impl CertId {
    /// The text that names the certificate with this serial number, of the issuer with this key, if its certificate says which.
    pub fn of(key_identifier: Option<Vec<u8>>, serial: &[u8]) -> Option<String> {
        let id = Self {
            key_identifier: key_identifier?,
            serial: serial.to_vec(),
        };
        Some(id.to_string())
    }
}

impl FromStr for CertId {
    type Err = InvalidCertId;

    fn from_str(text: &str) -> Result<Self, InvalidCertId> {
        // Split first: the whole is not base64url, and neither half may hold a dot.
        let (key_identifier, serial) = text.split_once('.').ok_or(InvalidCertId)?;
        let decode = |half| match base64url::decode(half) {
            Ok(octets) if (1..=LONGEST).contains(&octets.len()) => Ok(octets),
            Ok(_) | Err(_) => Err(InvalidCertId),
        };
        Ok(Self {
            key_identifier: decode(key_identifier)?,
            serial: decode(serial)?,
        })
    }
}

impl fmt::Display for CertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key_identifier = base64url::encode(&self.key_identifier);
        let serial = base64url::encode(&self.serial);
        write!(f, "{key_identifier}.{serial}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9773 §4.1.
    #[test]
    fn the_example_of_the_rfc() {
        let id = CertId {
            key_identifier: vec![
                0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0,
                0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4,
            ],
            serial: vec![0x00, 0x87, 0x65, 0x43, 0x21],
        };
        let text = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn what_is_not_two_halves_is_refused() {
        for bad in [
            "",
            ".",
            "aaaa",
            "aaaa.",
            ".aaaa",
            "aa.aa.aa",
            "aa==.aaaa",
            "a+/a.aaaa",
        ] {
            assert_eq!(bad.parse::<CertId>(), Err(InvalidCertId), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_text_is_unique(text in "[A-Za-z0-9_.=-]{0,60}") {
            if let Ok(id) = text.parse::<CertId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
