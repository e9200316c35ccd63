//! Lists of networks.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::text::{FromText, list};

/// Networks in CIDR form; a plain address is a network of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Networks(#[serde(deserialize_with = "list")] Vec<IpNet>);

impl Networks {
    /// Whether the address lies in one of them. An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2),
    /// as a dual-stack socket shows it, counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The networks.
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }
}

impl From<Vec<IpNet>> for Networks {
    fn from(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }
}

impl FromText for IpNet {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse::<IpAddr>()
            .map(Self::from)
            .or_else(|_| text.parse())
            .map_err(|_| {
                format!("{text:?} is not a network, such as 10.0.0.0/8, fd00::/8 or 192.0.2.1")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let networks = Networks::from(vec![
            IpNet::from_text("10.0.0.0/8").unwrap(),
            IpNet::from_text("192.0.2.1").unwrap(),
        ]);
        for (address, inside) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("::1", false),
        ] {
            assert_eq!(
                networks.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
        assert!(IpNet::from_text("10.0.0.0/33").is_err());
        assert!(IpNet::from_text("proxy").is_err());
    }
}
