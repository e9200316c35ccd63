//! What is counted together.

use std::net::IpAddr;

use super::Limit;
use crate::{AccountId, AuthorityName, Identifier};

/// One thing that one limit is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitKey {
    /// The limit.
    pub limit: Limit,
    /// What it is counted for, unambiguous within the limit, and of any length.
    pub subject: String,
    /// The same in words, for the client.
    pub words: String,
    /// The identifier that the client asked for, where the limit is about one.
    pub about: Option<Identifier>,
}

impl LimitKey {
    /// New accounts of this address. An IPv6 subscriber has a network at least, so /48 networks are counted.
    pub fn address(authority: &AuthorityName, address: IpAddr) -> Self {
        let (subject, words) = match address.to_canonical() {
            IpAddr::V4(address) => (address.to_string(), format!("the address {address}")),
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                let network = std::net::Ipv6Addr::from([a, b, c, 0, 0, 0, 0, 0]);
                (format!("{network}/48"), format!("the network {network}/48"))
            }
        };
        Self {
            limit: Limit::AccountsPerAddress,
            subject: format!("{authority}/{subject}"),
            words,
            about: None,
        }
    }

    /// Orders of this account.
    pub fn account(account: AccountId) -> Self {
        Self {
            limit: Limit::OrdersPerAccount,
            subject: account.to_string(),
            words: "this account".to_owned(),
            about: None,
        }
    }

    /// Orders with names in the registered domains of these: each domain once.
    pub fn domains(authority: &AuthorityName, identifiers: &[Identifier]) -> Vec<Self> {
        let mut keys: Vec<Self> = Vec::new();
        for identifier in identifiers {
            let domain = registered_domain(identifier);
            let subject = format!("{authority}/{domain}");
            if keys.iter().any(|key| key.subject == subject) {
                continue;
            }
            keys.push(Self {
                limit: Limit::OrdersPerDomain,
                subject,
                words: format!("the domain {domain}"),
                about: Some(identifier.clone()),
            });
        }
        keys
    }

    /// Orders for exactly these names, in whatever order.
    pub fn name_set(authority: &AuthorityName, identifiers: &[Identifier]) -> Self {
        let mut names: Vec<String> = identifiers.iter().map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        Self {
            limit: Limit::OrdersPerNameSet,
            subject: format!("{authority}/{}", names.join(",")),
            words: "exactly these names".to_owned(),
            about: None,
        }
    }

    /// Attempts of this account to prove this name. A wildcard is proven by the name below which it stands.
    pub fn attempts(account: AccountId, identifier: &Identifier) -> Self {
        let name = Self::proven_name(identifier);
        Self {
            limit: Limit::FailedValidations,
            subject: format!("{account}/{name}"),
            words: format!("{name} and this account"),
            about: Some(identifier.clone()),
        }
    }

    /// The name whose control is proven for an identifier.
    pub fn proven_name(identifier: &Identifier) -> String {
        match identifier {
            Identifier::Dns(name) | Identifier::Wildcard(name) => name.to_string(),
            Identifier::Ip(address) => address.to_string(),
        }
    }
}

/// The registered domain that a name belongs to, by the Public Suffix List, whose rule for top labels that it does not
/// know is that each of them is a public suffix. Addresses, and names that are a public suffix, count as themselves.
pub fn registered_domain(identifier: &Identifier) -> String {
    let name = LimitKey::proven_name(identifier);
    match identifier {
        Identifier::Ip(_) => name,
        Identifier::Dns(_) | Identifier::Wildcard(_) => match psl::domain_str(&name) {
            Some(domain) => domain.to_owned(),
            None => name,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SystemClock, SystemRng};

    fn authority() -> AuthorityName {
        "default".parse().unwrap()
    }

    fn name(text: &str) -> Identifier {
        text.parse().unwrap()
    }

    #[test]
    fn registered_domains() {
        for (text, due) in [
            ("www.example.org", "example.org"),
            ("*.example.org", "example.org"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("one.github.io", "one.github.io"),
            ("github.io", "github.io"),
            ("host.corp.internal", "corp.internal"),
            ("localhost", "localhost"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(registered_domain(&name(text)), due, "{text}");
        }
    }

    #[test]
    fn each_domain_is_counted_once_and_each_set_whatever_its_order() {
        let names = ["a.example.org", "example.net", "*.example.org"].map(name);
        let domains = LimitKey::domains(&authority(), &names);
        let words: Vec<&str> = domains.iter().map(|key| key.words.as_str()).collect();
        assert_eq!(words, ["the domain example.org", "the domain example.net"]);
        let [a, b, c] = names;
        let set = |names: &[Identifier]| LimitKey::name_set(&authority(), names).subject;
        assert_eq!(
            set(&[a.clone(), b.clone(), c.clone()]),
            set(&[c.clone(), b.clone(), a.clone(), a.clone()])
        );
        assert_ne!(set(&[a.clone(), b.clone()]), set(&[a, b, c]));
    }

    #[test]
    fn a_wildcard_and_its_name_are_attempts_at_the_same() {
        let account = AccountId::generate(&SystemClock, &mut SystemRng);
        let attempts = |text| LimitKey::attempts(account, &name(text)).subject;
        assert_eq!(attempts("*.example.org"), attempts("example.org"));
        assert_ne!(attempts("www.example.org"), attempts("example.org"));
    }

    proptest! {
        #[test]
        fn addresses_of_one_subscriber_count_together(high in any::<[u16; 3]>(), low in any::<[u16; 5]>(), other in any::<[u16; 5]>()) {
            let [a, b, c] = high;
            let of = |[d, e, f, g, h]: [u16; 5]| {
                LimitKey::address(&authority(), IpAddr::from([a, b, c, d, e, f, g, h])).subject
            };
            // Those of IPv4 in the guise of IPv6 are as many.
            prop_assume!([a, b, c] != [0; 3]);
            prop_assert_eq!(of(low), of(other));
        }

        #[test]
        fn ipv4_addresses_count_by_themselves(address in any::<u32>()) {
            let plain = std::net::Ipv4Addr::from_bits(address);
            let subject = LimitKey::address(&authority(), plain.into()).subject;
            prop_assert_eq!(&subject, &format!("default/{plain}"));
            let mapped = LimitKey::address(&authority(), plain.to_ipv6_mapped().into());
            prop_assert_eq!(subject, mapped.subject);
        }
    }
}
