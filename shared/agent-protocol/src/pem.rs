//! A private key on its way to the host that serves with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// How many characters a line of PEM has (RFC 7468 §2).
const LINE: usize = 64;

/// A private key, PEM. It is wiped when dropped, and prints as `[key]`; the wire is the one place that it is written to.
pub struct KeyPem(Zeroizing<String>);

impl KeyPem {
    /// A key in PKCS#8, DER.
    pub fn from_pkcs8(der: &[u8]) -> Self {
        let encoded = Zeroizing::new(STANDARD.encode(der));
        // As long as it gets, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(encoded.len() * 2 + 64));
        text.push_str("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = encoded.as_str();
        while let Some((line, more)) = rest.split_at_checked(LINE) {
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        if !rest.is_empty() {
            text.push_str(rest);
            text.push('\n');
        }
        text.push_str("-----END PRIVATE KEY-----\n");
        Self(text)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl Serialize for KeyPem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyPem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_on_the_wire_alone() {
        let key = KeyPem::from_pkcs8(&[7; 50]);
        assert_eq!(format!("{key:?}"), "[key]");
        let wire = serde_json::to_string(&key).unwrap();
        let read: KeyPem = serde_json::from_str(&wire).unwrap();
        assert_eq!(read.expose(), key.expose());
    }

    #[test]
    fn lines_are_as_long_as_they_are_in_pem() {
        for (octets, longest) in [(1, 4), (48, 64), (49, 64), (96, 64)] {
            let key = KeyPem::from_pkcs8(&vec![7; octets]);
            let lines: Vec<&str> = key.expose().lines().collect();
            let [begin, body @ .., end] = lines.as_slice() else {
                panic!("{lines:?}");
            };
            assert_eq!(
                (*begin, *end),
                ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----")
            );
            assert_eq!(body.first().unwrap().len(), longest);
            let read = STANDARD.decode(body.concat()).unwrap();
            assert_eq!(read, vec![7; octets]);
        }
    }
}
