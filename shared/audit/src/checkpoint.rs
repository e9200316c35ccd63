//! What the log was at some moment, signed: a C2SP tlog-checkpoint, which is a C2SP signed-note.
//!
//! ```text
//! certfleet/0190...            the origin: this log and no other
//! 1234                         how many entries
//! 47DEQpj8HBSa+/TImW+5JCe...   the root of their tree, base64
//! chain 9nQ...                 the last link of the chain, base64: an extension line
//!
//! — certfleet/0190... Az3grl...  the signature: base64 of the key's 4-byte hash and 64 bytes of Ed25519
//! ```

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::log::Head;

/// The first byte of a key and of what its hash is made from: Ed25519.
const ALGORITHM: u8 = 1;
const CHAIN: &str = "chain ";
/// No checkpoint of ours is near this long.
const MOST: usize = 4096;

/// What the log was at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
    /// The last link of their chain.
    pub chain: Hash,
}

/// Why a text is not a checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no checkpoint.
    #[error("it is no checkpoint: {0}")]
    Malformed(&'static str),
    /// It is of another log.
    #[error("it is of the log {found:?}, and this one is {due:?}")]
    OtherLog {
        /// What it says.
        found: String,
        /// What is due.
        due: String,
    },
    /// Its signature is not of this log's key.
    #[error("it is not signed by the log's key {0}")]
    NotSigned(String),
}

impl Checkpoint {
    /// Of the log as it ends now.
    pub fn of(origin: &str, head: &Head) -> Self {
        Self {
            origin: origin.to_owned(),
            size: head.size(),
            root: head.tree.root(),
            chain: head.chain,
        }
    }

    /// What is signed.
    fn body(&self) -> String {
        format!(
            "{}\n{}\n{}\n{CHAIN}{}\n",
            self.origin,
            self.size,
            self.root.to_base64(),
            self.chain.to_base64()
        )
    }

    /// Reads a checkpoint that bears a good signature of this key; those of others, such as witnesses, are passed over.
    ///
    /// # Errors
    /// If it is not one, is of another log, or is not signed by the key.
    pub fn open(text: &str, key: &CheckpointKey) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        if text.len() > MOST {
            return Err(malformed("it is too long"));
        }
        let (body, signatures) = text
            .split_once("\n\n")
            .ok_or(malformed("there is no empty line before the signatures"))?;
        let mut lines = body.lines();
        let origin = lines.next().unwrap_or_default();
        let size = lines.next().unwrap_or_default();
        let root = lines.next().unwrap_or_default();
        let chain = lines.next().and_then(|line| line.strip_prefix(CHAIN));
        let size: u64 = size.parse().map_err(|_| malformed("the size is none"))?;
        let checkpoint = Self {
            origin: origin.to_owned(),
            size,
            root: Hash::from_base64(root).ok_or(malformed("the root is none"))?,
            chain: chain
                .and_then(Hash::from_base64)
                .ok_or(malformed("the chain's link is missing"))?,
        };
        if checkpoint.origin != key.name {
            return Err(CheckpointError::OtherLog {
                found: checkpoint.origin,
                due: key.name.clone(),
            });
        }
        // What is signed is what was read, and there is one way to write it.
        let signed = checkpoint.body();
        if signed.trim_end_matches('\n') != body {
            return Err(malformed("it is not in its one form"));
        }
        if signatures.lines().any(|line| key.has_signed(&signed, line)) {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::NotSigned(key.to_string()))
        }
    }
}

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
    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name, newline, algorithm, key).
    fn id(&self) -> [u8; 4] {
        let mut named = self.name.as_bytes().to_vec();
        named.extend([b'\n', ALGORITHM]);
        named.extend(self.key);
        let hash = digest(&SHA256, &named);
        let mut id = [0; 4];
        id.copy_from_slice(&hash.as_ref()[..4]);
        id
    }

    fn has_signed(&self, text: &str, line: &str) -> bool {
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

/// What signs a log's checkpoints.
pub struct CheckpointSigner {
    name: String,
    key: Ed25519KeyPair,
}

impl CheckpointSigner {
    /// A new key, PKCS#8.
    ///
    /// # Errors
    /// If the system gives no chance.
    pub fn generate() -> Result<Vec<u8>, Unspecified> {
        Ok(Ed25519KeyPair::generate()?.to_pkcs8()?.as_ref().to_vec())
    }

    /// For the log of this origin, with this PKCS#8 key.
    ///
    /// # Errors
    /// If it is no Ed25519 key.
    pub fn new(origin: &str, pkcs8: &[u8]) -> Result<Self, KeyRejected> {
        Ok(Self {
            name: origin.to_owned(),
            key: Ed25519KeyPair::from_pkcs8(pkcs8)?,
        })
    }

    /// Its public half.
    pub fn key(&self) -> CheckpointKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.key.public_key().as_ref());
        CheckpointKey {
            name: self.name.clone(),
            key,
        }
    }

    /// The checkpoint of the log as it ends now, signed.
    pub fn sign(&self, head: &Head) -> String {
        let body = Checkpoint::of(&self.name, head).body();
        let mut signature = self.key().id().to_vec();
        signature.extend(self.key.sign(body.as_bytes()).as_ref());
        format!(
            "{body}\n\u{2014} {} {}\n",
            self.name,
            STANDARD.encode(signature)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> CheckpointSigner {
        CheckpointSigner::new("certfleet/test", &CheckpointSigner::generate().unwrap()).unwrap()
    }

    fn head() -> Head {
        let mut head = Head::default();
        for entry in ["a", "b", "c"] {
            head.append(entry.as_bytes());
        }
        head
    }

    #[test]
    fn what_is_signed_opens_and_nothing_else() {
        let signer = signer();
        let note = signer.sign(&head());
        let key = signer.key();
        let opened = Checkpoint::open(&note, &key).unwrap();
        assert_eq!(opened, Checkpoint::of("certfleet/test", &head()));
        for (index, _) in note.char_indices() {
            let mut bytes = note.clone().into_bytes();
            bytes[index] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(Checkpoint::open(&changed, &key).is_err(), "{changed}");
            }
        }
        assert!(matches!(
            Checkpoint::open(&note, &self::signer().key()),
            Err(CheckpointError::NotSigned(_))
        ));
        let other = CheckpointSigner::new("other", &CheckpointSigner::generate().unwrap()).unwrap();
        assert!(matches!(
            Checkpoint::open(&note, &other.key()),
            Err(CheckpointError::OtherLog { .. })
        ));
    }

    #[test]
    fn a_witness_may_sign_beside_it() {
        let signer = signer();
        let note = signer.sign(&head());
        let (body, signature) = note.split_once("\n\n").unwrap();
        let witnessed = format!("{body}\n\n\u{2014} witness.example AAAA\n{signature}");
        assert!(Checkpoint::open(&witnessed, &signer.key()).is_ok());
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = signer().key();
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
