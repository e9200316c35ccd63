//! An authority that the fleet has certificates from: our own, or any ACME directory (FLT-1).

use super::Budget;
use crate::account::Contact;
use crate::clock::Timestamp;
use crate::{ProjectName, UpstreamName};

/// An authority that the fleet has certificates from. The key of the fleet's account there lies sealed, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in the fleet.
    pub name: UpstreamName,
    /// Whose it is.
    pub project: ProjectName,
    /// The URL of its directory.
    pub directory: String,
    /// The roots that the directory's own certificate may lead to, PEM; without it, those that the system trusts.
    pub roots: Option<String>,
    /// How the authority reaches whoever runs the fleet.
    pub contacts: Vec<Contact>,
    /// The profile to order, where the authority has several.
    pub profile: Option<String>,
    /// What binds the fleet's account to one there (RFC 8555 §7.3.4); the MAC key lies sealed, elsewhere.
    pub binding: Option<UpstreamBinding>,
    /// How much of it the fleet may have.
    pub budget: Budget,
    /// The URL of the fleet's account, once it was made.
    pub account: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

impl Upstream {
    /// The fleet's account there has this URL.
    #[must_use]
    pub fn joined(self, account: String) -> Self {
        Self {
            account: Some(account),
            ..self
        }
    }
}

/// What binds the fleet's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamBinding {
    /// The identifier of the key, as the authority gave it.
    pub kid: String,
}
