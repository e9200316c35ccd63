//! A log's public key, as C2SP's signed-note has it, and what it has signed.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The first byte of a key and of what its hash is made from: Ed25519.
const ALGORITHM: u8 = 1;

/// The public key of a log, as C2SP's signed-note writes it: `<origin>+<hash>+<key>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointKey {
    name: String,
    key: [u8; 32],
}

/// Text that is not a public key of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a log's key: <origin>+<8 hexadecimal digits>+<base64> is due")]
pub struct InvalidKey;

impl CheckpointKey {
    pub(crate) fn new(origin: &str, key: [u8; 32]) -> Self {
        Self {
            name: origin.to_owned(),
            key,
        }
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name, newline, algorithm, key).
    pub(crate) fn id(&self) -> [u8; 4] {
        let mut named = self.name.as_bytes().to_vec();
        named.extend([b'\n', ALGORITHM]);
        named.extend(self.key);
        let hash = digest(&SHA256, &named);
        let mut id = [0; 4];
        id.copy_from_slice(&hash.as_ref()[..4]);
        id
    }

    pub(crate) fn has_signed(&self, text: &str, line: &str) -> bool {
        let Some(rest) = line.strip_prefix("\u{2014} ") else {
            return false;
        };
        let Some((name, signature)) = rest.split_once(' ') else {
            return false;
        };
        let Ok(bytes) = STANDARD.decode(signature) else {
            return false;
        };
        let Some((id, signature)) = bytes.split_first_chunk::<4>() else {
            return false;
        };
        name == self.name
            && *id == self.id()
            && UnparsedPublicKey::new(&ED25519, self.key)
                .verify(text.as_bytes(), signature)
                .is_ok()
    }
}

impl fmt::Display for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ALGORITHM];
        key.extend(self.key);
        let (id, key) = (hex::encode(self.id()), STANDARD.encode(key));
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl FromStr for CheckpointKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let mut parts = text.splitn(3, '+');
        let (name, id, key) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(id), Some(key)) = (name, id, key) else {
            return Err(InvalidKey);
        };
        let key = STANDARD.decode(key).map_err(|_| InvalidKey)?;
        let Some((&ALGORITHM, key)) = key.split_first() else {
            return Err(InvalidKey);
        };
        let key = Self {
            name: name.to_owned(),
            key: key.try_into().map_err(|_| InvalidKey)?,
        };
        let named = !name.is_empty() && !name.contains(char::is_whitespace);
        if named && hex::encode(key.id()) == id {
            Ok(key)
        } else {
            Err(InvalidKey)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::CheckpointSigner;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = CheckpointSigner::generate().unwrap();
        let key = CheckpointSigner::new("certfleet/test", &key).unwrap().key();
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        for bad in [
            "",
            "a",
            "a+b",
            "a+00000000+AAAA",
            &key.to_string().replace("test", "best"),
        ] {
            assert_eq!(bad.parse::<CheckpointKey>(), Err(InvalidKey), "{bad}");
        }
    }

    /// The example of golang.org/x/mod/sumdb/note, whose format this is.
    #[test]
    fn the_key_of_the_go_library_is_read() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key: CheckpointKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        let signed = "If you think cryptography is the answer to your problem,\n\
                      then you don't know what your problem is.\n";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        assert!(key.has_signed(signed, line));
        assert!(!key.has_signed(&signed[1..], line));
    }
}
