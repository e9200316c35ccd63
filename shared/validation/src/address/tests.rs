use proptest::prelude::*;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn policy(networks: &[&str]) -> AddressPolicy {
    AddressPolicy::new(networks.iter().map(|net| net.parse().unwrap()).collect())
}

/// One address in each network that is not global unicast, the edges among them, and what it is called.
const REFUSED: &[(&str, &str)] = &[
    ("0.0.0.0", "unspecified"),
    ("0.255.255.255", "unspecified"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "shared"),
    ("100.100.100.200", "metadata"),
    ("100.127.255.255", "shared"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "metadata"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "protocol assignment"),
    ("192.0.0.192", "metadata"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.255.255", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::7f00:1", "IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::ffff:0.0.0.0", "unspecified"),
    ("::ffff:0:7f00:1", "reserved"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b::169.254.169.254", "metadata"),
    ("64:ff9b:1::8.8.8.8", "local NAT64"),
    ("100::1", "discard-only"),
    ("100:0:0:1::1", "reserved"),
    ("2001::7f00:1", "Teredo"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
    ("2001:2::1", "benchmarking"),
    ("2001:20::1", "protocol assignment"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::1", "6to4"),
    ("2002:a00:1::1", "6to4"),
    ("3fff::1", "documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "metadata"),
    ("fd12:3456::1", "unique local"),
    ("fe80::1", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
];

#[test]
fn only_global_unicast_is_allowed_by_default() {
    let policy = AddressPolicy::default();
    for (text, class) in REFUSED {
        let refused = policy.check(address(text)).expect_err(text);
        assert!(
            refused.to_string().contains(class),
            "{text}: {refused} does not say {class:?}"
        );
        assert!(
            refused
                .to_string()
                .starts_with(&refused.address.to_string())
        );
    }
    for text in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "198.20.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2606:4700::1111",
        "3ffe:ffff::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        assert_eq!(policy.check(address(text)), Ok(()), "{text}");
    }
}

#[test]
fn a_listed_network_is_allowed_in_each_of_its_forms_and_no_other_is() {
    let policy = policy(&["10.1.0.0/16", "127.0.0.1/32", "fd00::/8", "2001:db8::/32"]);
    for text in [
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "64:ff9b::10.1.2.3",
        "127.0.0.1",
        "fd00::1",
        "2001:db8::1",
    ] {
        assert_eq!(policy.check(address(text)), Ok(()), "{text}");
    }
    for text in [
        "10.2.0.1",
        "127.0.0.2",
        "::1",
        "fc00::1",
        "192.168.0.1",
        "::10.1.2.3",
        "2002:a01:203::1",
    ] {
        assert!(policy.check(address(text)).is_err(), "{text}");
    }
}

#[test]
fn metadata_services_have_to_be_listed_by_their_address() {
    let wide = policy(&["169.254.0.0/16", "fd00::/8", "0.0.0.0/0", "::/0"]);
    for metadata in METADATA {
        assert!(wide.check(*metadata).is_err(), "{metadata}");
        assert_eq!(
            AddressPolicy::new(vec![IpNet::from(*metadata)]).check(*metadata),
            Ok(())
        );
    }
    assert_eq!(wide.check(address("169.254.1.1")), Ok(()));
    assert_eq!(wide.check(address("10.0.0.1")), Ok(()));
}

#[test]
fn what_is_no_host_is_refused_even_when_listed() {
    let all = policy(&["0.0.0.0/0", "0.0.0.0/32", "::/0", "::/128", "ff02::1/128"]);
    for text in [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
        "::ffff:0.0.0.0",
    ] {
        assert!(all.check(address(text)).is_err(), "{text}");
    }
}

proptest! {
    /// However an IPv4 address is dressed up, it opens no door that the plain one does not.
    #[test]
    fn no_form_of_an_ipv4_address_is_allowed_unless_the_address_is(bits: u32, suffix: u64) {
        let plain = Ipv4Addr::from_bits(bits);
        let policy = AddressPolicy::default();
        let plain_allowed = policy.check(plain.into()).is_ok();
        let low = u128::from(bits);
        let forms = [
            0xffff << 32 | low,
            low,
            0x0064_ff9b << 96 | low,
            0x2002 << 112 | low << 80 | u128::from(suffix),
            0x2001_0000 << 96 | low << 64 | u128::from(suffix),
            0x2001_0000 << 96 | u128::from(suffix) << 32 | u128::from(!bits),
        ];
        for form in forms.map(Ipv6Addr::from_bits) {
            prop_assert!(plain_allowed || policy.check(form.into()).is_err(), "{form} of {plain}");
        }
    }

    /// The standard library's own idea of special addresses, where it is stable, is never wider than ours.
    #[test]
    fn what_std_calls_special_is_refused(bits: u32, wide: u128) {
        let policy = AddressPolicy::default();
        let v4 = Ipv4Addr::from_bits(bits);
        if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
            || v4.is_documentation() || v4.is_broadcast() || v4.is_unspecified()
        {
            prop_assert!(policy.check(v4.into()).is_err(), "{v4}");
        }
        let v6 = Ipv6Addr::from_bits(wide);
        if v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast()
            || v6.is_loopback() || v6.is_unspecified()
        {
            prop_assert!(policy.check(v6.into()).is_err(), "{v6}");
        }
    }
}
