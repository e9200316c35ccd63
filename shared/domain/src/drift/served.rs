//! What is served, held against what should be.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::delivery::Fingerprint;
use crate::identifier::Identifier;

/// What should be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The fingerprints of the current chain, the certificate first.
    pub chain: Vec<Fingerprint>,
    /// The fingerprints of the certificates that were current before.
    pub former: Vec<Fingerprint>,
    /// Who signed the current one: the name, as it stands in the certificate (DER).
    pub issuer: Vec<u8>,
    /// The name that is asked for.
    pub name: Identifier,
}

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The fingerprints of the chain, the certificate first; at least one.
    pub chain: Vec<Fingerprint>,
    /// Who signed the certificate (DER).
    pub issuer: Vec<u8>,
    /// The names in it.
    pub names: Vec<Identifier>,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// What is wrong with what is served. The first that holds is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Drift {
    /// Nobody answers, or not in TLS.
    Unreachable,
    /// A certificate whose time is over.
    Expired,
    /// One that is not for the name that was asked for.
    WrongName,
    /// The one that was current before.
    FormerVersion,
    /// One of another authority.
    OtherIssuer,
    /// Another one of the same authority.
    OtherCertificate,
    /// The right one, without what leads from it to a root.
    IncompleteChain,
}

impl Drift {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::Expired,
        Self::WrongName,
        Self::FormerVersion,
        Self::OtherIssuer,
        Self::OtherCertificate,
        Self::IncompleteChain,
    ];

    /// The name in the API and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Expired => "expired",
            Self::WrongName => "wrongName",
            Self::FormerVersion => "formerVersion",
            Self::OtherIssuer => "otherIssuer",
            Self::OtherCertificate => "otherCertificate",
            Self::IncompleteChain => "incompleteChain",
        }
    }

    /// Whether delivering anew may help.
    pub fn can_be_repaired(self) -> bool {
        match self {
            Self::Unreachable => false,
            Self::Expired
            | Self::WrongName
            | Self::FormerVersion
            | Self::OtherIssuer
            | Self::OtherCertificate
            | Self::IncompleteChain => true,
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "nobody answers there",
            Self::Expired => "the certificate that is served has expired",
            Self::WrongName => "the certificate that is served is not for this name",
            Self::FormerVersion => "the former certificate is served",
            Self::OtherIssuer => "a certificate of another authority is served",
            Self::OtherCertificate => "another certificate is served",
            Self::IncompleteChain => {
                "the right certificate is served, and not what leads to its root"
            }
        })
    }
}

/// What is wrong with what is served, if anything is.
pub fn judge(expected: &Expected, served: &Served, now: Timestamp) -> Option<Drift> {
    let own = served.chain.first();
    if own.is_some() && own == expected.chain.first() {
        let missing = |link: &Fingerprint| !served.chain.contains(link);
        return expected
            .chain
            .iter()
            .any(missing)
            .then_some(Drift::IncompleteChain);
    }
    if served.not_after <= now {
        return Some(Drift::Expired);
    }
    if !covers(&served.names, &expected.name) {
        return Some(Drift::WrongName);
    }
    if own.is_some_and(|own| expected.former.contains(own)) {
        return Some(Drift::FormerVersion);
    }
    Some(if served.issuer == expected.issuer {
        Drift::OtherCertificate
    } else {
        Drift::OtherIssuer
    })
}

/// Whether a certificate with these names is good for that one (RFC 9525 §6.3: a wildcard stands for one label).
fn covers(names: &[Identifier], name: &Identifier) -> bool {
    names.iter().any(|own| match (own, name) {
        (Identifier::Wildcard(domain), Identifier::Dns(name)) => {
            name.parent().as_ref() == Some(domain)
        }
        (own, name) => own == name,
    })
}
