//! Base64url without padding (RFC 7515 §2), and nothing else: no padding, no other alphabet, no stray bits, so that
//! a value has exactly one text.

use std::fmt;

use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Text that is not base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBase64Url {
    /// It ends with `=`.
    #[error("it is padded; base64url without \"=\" is due (RFC 7515 §2)")]
    Padded,
    /// It has characters of ordinary base64.
    #[error(
        "it is ordinary base64; the URL-safe alphabet with \"-\" and \"_\" is due (RFC 4648 §5)"
    )]
    OrdinaryBase64,
    /// It is something else.
    #[error("it is not base64url")]
    Other,
}

pub(crate) fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, InvalidBase64Url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| {
        if text.ends_with('=') {
            InvalidBase64Url::Padded
        } else if text.contains(['+', '/']) {
            InvalidBase64Url::OrdinaryBase64
        } else {
            InvalidBase64Url::Other
        }
    })
}

/// Octets that are base64url on the wire, such as a CSR's or a certificate's DER.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Base64Url(pub Vec<u8>);

impl AsRef<[u8]> for Base64Url {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Base64Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64Url({})", encode(&self.0))
    }
}

impl Serialize for Base64Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_spellings_are_refused_and_named() {
        assert_eq!(decode("AA=="), Err(InvalidBase64Url::Padded));
        assert_eq!(decode("a+/a"), Err(InvalidBase64Url::OrdinaryBase64));
        for bad in ["A", "AB", "A A", "AA\n", "é"] {
            assert_eq!(decode(bad), Err(InvalidBase64Url::Other), "{bad:?}");
        }
        assert_eq!(decode(""), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn a_value_has_exactly_one_text(octets: Vec<u8>, text in ".{0,40}") {
            prop_assert_eq!(decode(&encode(&octets)), Ok(octets));
            if let Ok(decoded) = decode(&text) {
                prop_assert_eq!(encode(decoded), text);
            }
        }
    }
}
