//! An account, as its holder has it.

use std::sync::Arc;

use certfleet_acme::{KeyReference, SigningKey};

/// An account: its key and its URL.
#[derive(Debug, Clone)]
pub struct Account {
    /// The key.
    pub key: Arc<SigningKey>,
    /// The URL, which is the `kid` of its requests.
    pub url: String,
}

impl Account {
    /// How its requests refer to its key.
    pub fn kid(&self) -> KeyReference {
        KeyReference::Kid(self.url.clone())
    }

    /// The thumbprint of its key.
    pub fn thumbprint(&self) -> String {
        self.key.public().thumbprint()
    }
}
