//! Which addresses a validation may connect to.
//!
//! The applicant chooses the address, by DNS or by a redirect; without a rule the validator would be a way into the
//! network it runs in. The rule is applied to the address of each socket that is opened, not to a name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Which addresses may be connected to: global unicast, and what the operator lists.
///
/// - An IPv4-mapped address (`::ffff:0:0/96`) or a NAT64 one (`64:ff9b::/96`, RFC 6052) is judged as the IPv4 address
///   in it, since that is where packets end up.
/// - Unspecified, multicast and broadcast addresses are never connected to, listed or not.
/// - Cloud metadata services hand out credentials: they are refused unless listed by their very address, even where a
///   listed network contains them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
}

/// An address that is not connected to, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    class: &'static str,
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, class } = self;
        write!(
            f,
            "{address} is {class} address, which this authority is not set up to connect to"
        )
    }
}

impl AddressPolicy {
    /// The policy that allows these networks beside global unicast.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether the address may be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let judged = embedded(address);
        let refuse = |class| Err(RefusedAddress { address, class });
        if let Some(class) = find(judged, NEVER_V4, NEVER_V6) {
            return refuse(class);
        }
        let listed = self.allowed.iter().filter(|net| net.contains(&judged));
        let mut exactly = listed
            .clone()
            .filter(|net| net.prefix_len() == net.max_prefix_len());
        if exactly.next().is_some() {
            return Ok(());
        }
        if METADATA.contains(&judged) {
            return refuse("a cloud metadata");
        }
        if listed.count() > 0 {
            return Ok(());
        }
        match find(judged, SPECIAL_V4, SPECIAL_V6) {
            Some(class) => refuse(class),
            None if is_beyond_global_unicast(judged) => refuse("a reserved"),
            None => Ok(()),
        }
    }
}

/// The IPv4 address that packets to this one end up at, or the address itself.
fn embedded(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        canonical => canonical,
    }
}

fn find(
    address: IpAddr,
    v4: &[(Ipv4Net, &'static str)],
    v6: &[(Ipv6Net, &'static str)],
) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4.iter().find(|(net, _)| net.contains(&address))?.1.into(),
        IpAddr::V6(address) => v6.iter().find(|(net, _)| net.contains(&address))?.1.into(),
    }
}

/// Only `2000::/3` is given out as IPv6 global unicast.
fn is_beyond_global_unicast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if !GLOBAL_UNICAST.contains(&v6))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 4], prefix: u8) -> Ipv6Net {
    let [a, b, c, d] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// What is never a host that proves anything. Linux takes 0.0.0.0 and :: for the machine itself.
const NEVER_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "an unspecified"),
    (v4(224, 0, 0, 0, 4), "a multicast"),
    (v4(255, 255, 255, 255, 32), "the broadcast"),
];
const NEVER_V6: &[(Ipv6Net, &str)] = &[
    (v6([0; 4], 128), "an unspecified"),
    (v6([0xff00, 0, 0, 0], 8), "a multicast"),
];

/// Where clouds hand out credentials and settings of the machine.
const METADATA: &[IpAddr] = &[
    // AWS, Azure, Google, Oracle, DigitalOcean, OpenStack
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // AWS: tasks of ECS, pods of EKS
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    // Azure's platform address, in public address space
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Alibaba Cloud
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Oracle, older
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // AWS over IPv6: machines, pods
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    // Google over IPv6
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The IANA IPv4 Special-Purpose Address Registry (RFC 6890), but for the anycast services in it that are global.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4(10, 0, 0, 0, 8), "a private"),
    (v4(100, 64, 0, 0, 10), "a shared (carrier-grade NAT)"),
    (v4(127, 0, 0, 0, 8), "a loopback"),
    (v4(169, 254, 0, 0, 16), "a link-local"),
    (v4(172, 16, 0, 0, 12), "a private"),
    (v4(192, 0, 0, 0, 24), "a protocol assignment"),
    (v4(192, 0, 2, 0, 24), "a documentation"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "a private"),
    (v4(198, 18, 0, 0, 15), "a benchmarking"),
    (v4(198, 51, 100, 0, 24), "a documentation"),
    (v4(203, 0, 113, 0, 24), "a documentation"),
    (v4(240, 0, 0, 0, 4), "a reserved"),
];

/// The IANA IPv6 Special-Purpose Address Registry, and the transition mechanisms that carry an IPv4 address and are
/// given up: IPv4-compatible (RFC 4291 §2.5.5.1), 6to4 (RFC 7526), Teredo.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        "the loopback",
    ),
    (v6([0; 4], 96), "an IPv4-compatible"),
    (v6([0x64, 0xff9b, 1, 0], 48), "a local NAT64"),
    (v6([0x100, 0, 0, 0], 64), "a discard-only"),
    (v6([0x2001, 0, 0, 0], 32), "a Teredo"),
    (v6([0x2001, 2, 0, 0], 48), "a benchmarking"),
    (v6([0x2001, 0, 0, 0], 23), "a protocol assignment"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "a documentation"),
    (v6([0x2002, 0, 0, 0], 16), "a 6to4"),
    (v6([0x3fff, 0, 0, 0], 20), "a documentation"),
    (v6([0xfc00, 0, 0, 0], 7), "a unique local"),
    (v6([0xfe80, 0, 0, 0], 10), "a link-local"),
    (v6([0xfec0, 0, 0, 0], 10), "a site-local"),
];

#[cfg(test)]
mod tests;
