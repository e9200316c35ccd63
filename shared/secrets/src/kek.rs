//! The port behind which a key encryption key lives.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use crate::envelope::DataKey;

/// The name of one version of a KEK: 1 to 64 characters of `A-Z a-z 0-9 . _ : / -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KekId(String);

/// Text that cannot name a KEK.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a KEK id: 1 to 64 characters of A-Z a-z 0-9 . _ : / - are due")]
pub struct InvalidKekId;

impl KekId {
    /// The longest id, in bytes.
    pub const MAX: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KekId {
    type Err = InvalidKekId;

    fn from_str(text: &str) -> Result<Self, InvalidKekId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:/-".contains(&b);
        if text.is_empty() || text.len() > Self::MAX || !text.bytes().all(allowed) {
            return Err(InvalidKekId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fresh randomness for one wrapping; a provider that makes its own may leave it unused.
pub struct WrapNonce(pub(crate) [u8; 12]);

impl WrapNonce {
    /// The 96 random bits.
    pub fn bytes(&self) -> [u8; 12] {
        self.0
    }
}

/// What a KEK answers, in the end.
pub type KekFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KekError>> + Send + 'a>>;

/// Why a KEK did not wrap or unwrap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KekError {
    /// The KEK answered, and the wrapped key is not one of its own in this place.
    #[error(
        "the wrapped data key does not open: the KEK is another key of the same name, or the record was changed or moved"
    )]
    Refused,
    /// The KEK could not be asked. Another try may do.
    #[error("the KEK cannot be reached: {0}")]
    Unavailable(String),
}

/// One version of a KEK: in memory, in a token or at a remote service.
///
/// `context` is authenticated with the wrapped key: what was wrapped with one does not unwrap with
/// another. It holds nothing secret.
pub trait KekProvider: Send + Sync {
    /// The name that sealed records keep, so that they find their KEK again.
    fn id(&self) -> &KekId;

    /// Whether the name is made of the key, so that no two keys go by one name. Otherwise it is the name of a place, and what
    /// is there has to show that it is the key that was there before.
    fn is_named_by_content(&self) -> bool {
        false
    }

    /// Encrypts a data key. The answer is opaque, at most 65,535 bytes.
    fn wrap<'a>(
        &'a self,
        data_key: &'a DataKey,
        context: &'a [u8],
        nonce: WrapNonce,
    ) -> KekFuture<'a, Vec<u8>>;

    /// Decrypts a data key.
    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KekFuture<'a, DataKey>;
}
