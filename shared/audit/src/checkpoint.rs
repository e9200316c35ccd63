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

use crate::hash::Hash;
use crate::key::CheckpointKey;
use crate::log::Head;

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
    pub(crate) fn body(&self) -> String {
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
        if checkpoint.origin != key.origin() {
            return Err(CheckpointError::OtherLog {
                found: checkpoint.origin,
                due: key.origin().to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::CheckpointSigner;

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
}
