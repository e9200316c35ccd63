//! What a connection is made to: a name that is to be resolved, or an address.

use std::fmt;
use std::net::IpAddr;

use certfleet_domain::{DnsName, Identifier};

/// A name that is to be resolved, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name.
    Name(DnsName),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// Where control of the identifier is shown: the name (a wildcard's base name), or the address itself.
    pub(crate) fn of(identifier: &Identifier) -> Self {
        match identifier {
            Identifier::Dns(name) | Identifier::Wildcard(name) => Self::Name(name.clone()),
            Identifier::Ip(address) => Self::Address(*address),
        }
    }
}

/// As in a URL: an IPv6 address in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}
