//! What a certificate can be asked for: DNS names, wildcards of them, and IP addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name or address that cannot be certified, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a name that can be certified: {why}")]
pub struct InvalidIdentifier {
    value: String,
    why: &'static str,
}

/// A DNS name in its canonical form: lower-case A-labels, no trailing dot, at most 253 octets.
///
/// Rules: letters, digits and hyphens (RFC 1123 §2.1), labels of 1 to 63 octets that neither begin nor end with
/// a hyphen, a top label that is not all digits, and A-labels that decode (RFC 5891).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

impl DnsName {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name one label up, or `None` at the top label. `www.example.org` gives `example.org`.
    pub fn parent(&self) -> Option<Self> {
        self.0
            .split_once('.')
            .map(|(_, rest)| Self(rest.to_owned()))
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0 == other.0
            || self
                .0
                .strip_suffix(&other.0)
                .is_some_and(|head| head.ends_with('.'))
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let refuse = |why| InvalidIdentifier {
            value: text.chars().take(300).collect(),
            why,
        };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        if text.len() > 253 {
            return Err(refuse("it is longer than 253 octets"));
        }
        if text.ends_with('.') {
            return Err(refuse("it ends with a dot"));
        }
        if !text.is_ascii() {
            return Err(refuse(
                "it is not ASCII; internationalized names are due as A-labels (xn--...)",
            ));
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(refuse(
                "it is an IP address, which has the identifier type \"ip\"",
            ));
        }
        let name = text.to_ascii_lowercase();
        for label in name.split('.') {
            check_label(label).map_err(refuse)?;
        }
        let top = name.rsplit('.').next().unwrap_or_default();
        if top.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refuse("its top label is all digits"));
        }
        Ok(Self(name))
    }
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("it has an empty label");
    }
    if label.len() > 63 {
        return Err("a label is longer than 63 octets");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a label begins or ends with a hyphen");
    }
    if label.contains('*') {
        return Err("a wildcard may only be the whole first label");
    }
    if !label
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        return Err("only letters, digits and hyphens are allowed");
    }
    if label.as_bytes().get(2..4) == Some(b"--") {
        let decodes = label.starts_with("xn--") && idna::domain_to_unicode(label).1.is_ok();
        if !decodes {
            return Err(
                "a label with hyphens in its third and fourth place is not a valid A-label",
            );
        }
    }
    Ok(())
}

impl TryFrom<String> for DnsName {
    type Error = InvalidIdentifier;

    fn try_from(text: String) -> Result<Self, InvalidIdentifier> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

/// What an order asks for and an authorization grants (RFC 8555 §7.1.3, RFC 8738).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Identifier {
    /// A DNS name.
    Dns(DnsName),
    /// All names one label below this one; written `*.example.org`.
    Wildcard(DnsName),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

impl Identifier {
    /// The name that a server is asked for: that of a wildcard is one below it.
    pub fn host_below(&self) -> String {
        match self {
            Self::Wildcard(domain) => format!("certfleet-probe.{domain}"),
            Self::Dns(_) | Self::Ip(_) => self.to_string(),
        }
    }

    /// A DNS identifier from its wire form, where a wildcard is `*.` before a name of two labels or more.
    pub fn dns(text: &str) -> Result<Self, InvalidIdentifier> {
        match text.strip_prefix("*.") {
            None => text.parse().map(Self::Dns),
            Some(base) => {
                let name: DnsName = base.parse()?;
                if name.parent().is_none() {
                    let why = "a wildcard directly below a top label is not issued";
                    return Err(InvalidIdentifier {
                        value: text.to_owned(),
                        why,
                    });
                }
                if text.len() > 253 {
                    return Err(InvalidIdentifier {
                        value: text.to_owned(),
                        why: "it is longer than 253 octets",
                    });
                }
                Ok(Self::Wildcard(name))
            }
        }
    }

    /// An IP identifier from its textual form; an IPv6 address has to be in the form of RFC 5952 (RFC 8738 §3).
    pub fn ip(text: &str) -> Result<Self, InvalidIdentifier> {
        let refuse = |why| InvalidIdentifier {
            value: text.chars().take(300).collect(),
            why,
        };
        let address: IpAddr = text
            .parse()
            .map_err(|_| refuse("it is not an IP address"))?;
        if address.to_string() != text {
            return Err(refuse("it is not in canonical form (RFC 5952 for IPv6)"));
        }
        Ok(Self::Ip(address))
    }

    /// The name to be proven: the base name of a wildcard, the name itself otherwise. `None` for an address.
    pub fn dns_name(&self) -> Option<&DnsName> {
        match self {
            Self::Dns(name) | Self::Wildcard(name) => Some(name),
            Self::Ip(_) => None,
        }
    }

    /// Whether this is a wildcard.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Wildcard(_))
    }
}

/// The form that people and certificates use: `*.example.org`, `example.org`, `192.0.2.1`.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => name.fmt(f),
            Self::Wildcard(name) => write!(f, "*.{name}"),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Reads the same form back: what is an address is an address, all else is a DNS name.
impl FromStr for Identifier {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        if text.parse::<IpAddr>().is_ok() {
            Self::ip(text)
        } else {
            Self::dns(text)
        }
    }
}

impl TryFrom<String> for Identifier {
    type Error = InvalidIdentifier;

    fn try_from(text: String) -> Result<Self, InvalidIdentifier> {
        text.parse()
    }
}

impl From<Identifier> for String {
    fn from(identifier: Identifier) -> Self {
        identifier.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_canonical_or_refused() {
        assert_eq!(
            "WWW.Example.ORG".parse::<DnsName>().unwrap().as_str(),
            "www.example.org"
        );
        assert_eq!(
            "xn--bcher-kva.example".parse::<DnsName>().unwrap().as_str(),
            "xn--bcher-kva.example"
        );
        for bad in [
            "",
            ".",
            "a..b",
            "example.org.",
            "-a.org",
            "a-.org",
            "a_b.org",
            "1.2.3.4",
            "a.123",
            "bücher.example",
            "*.org.example",
            "a.*.org",
            "ab--cd.org",
            "xn--\u{0}.org",
            &"a".repeat(64),
            &"a.".repeat(140),
        ] {
            assert!(
                bad.parse::<DnsName>().is_err(),
                "{bad:?} was taken for a name"
            );
        }
    }

    #[test]
    fn wildcards_stand_for_the_first_label_only() {
        let wildcard = Identifier::dns("*.example.org").unwrap();
        assert_eq!(wildcard.to_string(), "*.example.org");
        assert_eq!(wildcard.dns_name().unwrap().as_str(), "example.org");
        for bad in ["*.org", "*", "**.a.org", "*.*.a.org", "a.*.org"] {
            assert!(
                Identifier::dns(bad).is_err(),
                "{bad:?} was taken for an identifier"
            );
        }
    }

    #[test]
    fn addresses_are_canonical_or_refused() {
        assert!(Identifier::ip("192.0.2.1").is_ok());
        assert!(Identifier::ip("2001:db8::1").is_ok());
        for bad in [
            "192.0.2.01",
            "2001:DB8::1",
            "2001:db8:0:0:0:0:0:1",
            "host",
            "192.0.2.1/32",
        ] {
            assert!(
                Identifier::ip(bad).is_err(),
                "{bad:?} was taken for an address"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(text in ".{0,80}") {
            if let Ok(name) = text.parse::<DnsName>() {
                prop_assert_eq!(name.as_str().parse::<DnsName>(), Ok(name.clone()));
            }
            let _ = Identifier::dns(&text);
            let _ = Identifier::ip(&text);
        }
    }
}
