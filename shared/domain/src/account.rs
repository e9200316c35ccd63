//! An ACME account: a key, and how to reach who holds it (RFC 8555 §7.1.2).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identifier::DnsName;
use crate::ids::{AccountId, EabKeyId};
use crate::names::AuthorityName;
use crate::problem::ProblemKind;
use crate::transition::InvalidTransition;

/// Whether the account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// It may.
    Valid,
    /// Its holder gave it up, for good.
    Deactivated,
    /// The authority took it away, for good.
    Revoked,
}

impl AccountStatus {
    /// The name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }
}

/// A contact URL that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("contact {value:?} cannot be used: {why}")]
pub struct InvalidContact {
    value: String,
    why: &'static str,
    /// `invalidContact` or `unsupportedContact`.
    pub kind: ProblemKind,
}

/// A `mailto:` URL with exactly one plain address (RFC 8555 §7.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contact(String);

impl Contact {
    /// A contact from its URL. Only `mailto:` is supported; one address, no header fields, a proper mail domain.
    pub fn parse(url: &str) -> Result<Self, InvalidContact> {
        let refuse = |kind, why| InvalidContact {
            value: url.chars().take(300).collect(),
            why,
            kind,
        };
        let address = url.strip_prefix("mailto:").ok_or_else(|| {
            refuse(
                ProblemKind::UnsupportedContact,
                "only mailto: URLs are supported",
            )
        })?;
        let invalid = |why| refuse(ProblemKind::InvalidContact, why);
        if address.len() > 254 {
            return Err(invalid("the address is longer than 254 octets"));
        }
        if address.contains('?') {
            return Err(invalid("header fields (hfields) are not allowed"));
        }
        if address.contains(',') {
            return Err(invalid("one address per URL is due"));
        }
        let (local, domain) = address
            .rsplit_once('@')
            .ok_or_else(|| invalid("it has no @"))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=^_`{|}~.".contains(c);
        if local.is_empty() || local.len() > 64 || !local.chars().all(plain) {
            return Err(invalid("the part before the @ is not a plain mailbox name"));
        }
        let domain: DnsName = domain
            .parse()
            .map_err(|_| invalid("the part after the @ is not a domain name"))?;
        if domain.parent().is_none() {
            return Err(invalid("the part after the @ is not a public domain name"));
        }
        Ok(Self(format!("mailto:{local}@{domain}")))
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ACME account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The authority it belongs to.
    pub authority: AuthorityName,
    /// Its public key as a canonical JWK (RFC 7638 §3): JSON text, required members only, sorted.
    pub jwk: String,
    /// The JWK thumbprint (RFC 7638), base64url. Unique per authority.
    pub thumbprint: String,
    /// How to reach its holder.
    pub contacts: Vec<Contact>,
    /// Whether its holder agreed to the terms of service, and when.
    pub terms_agreed_at: Option<Timestamp>,
    /// The key that bound it to somebody the administrator knows, if one did.
    pub eab_key: Option<EabKeyId>,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

impl Account {
    /// The holder gives the account up.
    pub fn deactivate(self) -> Result<Self, InvalidTransition> {
        self.require_valid("deactivated")?;
        Ok(Self {
            status: AccountStatus::Deactivated,
            ..self
        })
    }

    /// The authority takes it away.
    pub fn revoke(self) -> Result<Self, InvalidTransition> {
        self.require_valid("revoked")?;
        Ok(Self {
            status: AccountStatus::Revoked,
            ..self
        })
    }

    /// The holder changes its key.
    pub fn roll_over(self, jwk: String, thumbprint: String) -> Result<Self, InvalidTransition> {
        self.require_valid("given another key")?;
        Ok(Self {
            jwk,
            thumbprint,
            ..self
        })
    }

    fn require_valid(&self, step: &'static str) -> Result<(), InvalidTransition> {
        match self.status {
            AccountStatus::Valid => Ok(()),
            AccountStatus::Deactivated | AccountStatus::Revoked => Err(InvalidTransition {
                entity: "account",
                id: self.id.to_string(),
                state: self.status.name(),
                step,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_one_plain_address() {
        assert_eq!(
            Contact::parse("mailto:a.b@Example.org")
                .unwrap()
                .to_string(),
            "mailto:a.b@example.org"
        );
        for bad in [
            "mailto:a@b.org?subject=x",
            "mailto:a@b.org,c@d.org",
            "mailto:",
            "mailto:a",
            "mailto:@b.org",
            "mailto:a b@c.org",
        ] {
            assert_eq!(
                Contact::parse(bad).unwrap_err().kind,
                ProblemKind::InvalidContact,
                "{bad}"
            );
        }
        assert_eq!(
            Contact::parse("tel:+1").unwrap_err().kind,
            ProblemKind::UnsupportedContact
        );
    }
}
