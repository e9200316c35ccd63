//! How tokens are reached.

use std::path::PathBuf;
use std::sync::Arc;

use certfleet_domain::Pkcs11Uri;
use certfleet_secrets::{KekSourceError, read_private_file};
use zeroize::Zeroizing;

use crate::error::TokenError;
use crate::key::{KeyKind, TokenKey};
use crate::module::Module;

/// Longer than any PIN.
const LONGEST_PIN: usize = 256;

/// The module that reaches tokens, and the PIN that opens them to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAccess {
    /// The module, a shared library.
    pub module: PathBuf,
    /// The file that holds the user's PIN; nobody but its owner may be able to read it. Without one, the token has to have
    /// a PIN pad of its own.
    pub pin_file: Option<PathBuf>,
}

impl TokenAccess {
    /// A key in a token. Whether it is there shows when it is used.
    pub fn key(&self, uri: &Pkcs11Uri, kind: KeyKind) -> TokenKey {
        TokenKey::new(Module::at(&self.module), self.clone(), uri.clone(), kind)
    }

    pub(crate) fn read_pin(&self) -> Result<Option<Arc<Zeroizing<String>>>, TokenError> {
        let Some(file) = &self.pin_file else {
            return Ok(None);
        };
        let unreadable = |error: KekSourceError| TokenError::Unavailable(format!("PIN: {error}"));
        let octets = read_private_file(file, LONGEST_PIN).map_err(unreadable)?;
        let text = std::str::from_utf8(&octets).map_err(|_| {
            TokenError::Unavailable(format!("PIN file {} is no text", file.display()))
        })?;
        Ok(Some(Arc::new(Zeroizing::new(text.trim_end().to_owned()))))
    }
}
