//! SHA-256, in the three ways the log uses it. The first byte tells them apart, so that no input of one is one of
//! another.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; Self::LENGTH]);

impl Hash {
    /// In bytes.
    pub const LENGTH: usize = 32;

    /// What a chain starts from.
    pub const ZERO: Self = Self([0; Self::LENGTH]);

    /// The hash of nothing: the root of a tree without leaves (RFC 6962 §2.1).
    pub fn of_nothing() -> Self {
        Self::of(&[])
    }

    /// The leaf of an entry: SHA-256(0x00, entry) (RFC 6962 §2.1).
    pub fn leaf(entry: &[u8]) -> Self {
        Self::of(&[&[0], entry])
    }

    /// The node above two: SHA-256(0x01, left, right) (RFC 6962 §2.1).
    pub fn node(left: Self, right: Self) -> Self {
        Self::of(&[&[1], &left.0, &right.0])
    }

    /// The next link of the chain: SHA-256(0x02, the link before, leaf).
    pub fn link(before: Self, leaf: Self) -> Self {
        Self::of(&[&[2], &before.0, &leaf.0])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        let mut hash = Self::ZERO;
        hash.0.copy_from_slice(context.finish().as_ref());
        hash
    }

    /// The hashes that lie one after the other in `bytes`; `None` if the last is cut.
    pub fn all_of(bytes: &[u8]) -> Option<Vec<Self>> {
        let (hashes, rest) = bytes.as_chunks::<{ Self::LENGTH }>();
        rest.is_empty()
            .then(|| hashes.iter().copied().map(Self).collect())
    }

    /// From base64, as checkpoints have it.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// As base64.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}
