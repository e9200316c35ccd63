use proptest::prelude::*;
use rcgen::CustomExtension;

use super::*;
use crate::testing::{acme_digest, self_signed};

const OID: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 31];

fn name() -> Identifier {
    Identifier::dns("a.example").unwrap()
}

fn proof() -> CustomExtension {
    CustomExtension::new_acme_identifier(&acme_digest())
}

fn why(names: &[&str], extensions: Vec<CustomExtension>) -> String {
    let (certificate, _) = self_signed(names, extensions);
    check(&certificate, &name(), &acme_digest()).unwrap_err()
}

#[test]
fn the_right_certificate_is_taken() {
    for identifier in [
        name(),
        Identifier::ip("192.0.2.1").unwrap(),
        Identifier::ip("2001:db8::1").unwrap(),
    ] {
        let (certificate, _) = self_signed(&[&identifier.to_string()], vec![proof()]);
        assert_eq!(check(&certificate, &identifier, &acme_digest()), Ok(()));
    }
    let (certificate, _) = self_signed(&["A.Example"], vec![proof()]);
    assert_eq!(check(&certificate, &name(), &acme_digest()), Ok(()));
}

#[test]
fn it_has_to_be_for_the_name_alone() {
    assert!(why(&[], vec![proof()]).contains("no subjectAltName"));
    assert!(why(&["b.example"], vec![proof()]).contains("is for \"b.example\", not for a.example"));
    assert!(why(&["a.example", "b.example"], vec![proof()]).contains("is for 2 names"));
    assert!(why(&["a.example", "a.example"], vec![proof()]).contains("is for 2 names"));
    assert!(why(&["*.example"], vec![proof()]).contains("*.example"));
    assert!(why(&["192.0.2.1"], vec![proof()]).contains("is for 192.0.2.1"));
    assert!(why(&["2001:db8::1"], vec![proof()]).contains("is for 2001:db8::1"));
}

#[test]
fn it_has_to_carry_the_digest_in_a_critical_extension() {
    let content = |content: Vec<u8>, critical| {
        let mut extension = CustomExtension::from_oid_content(OID, content);
        extension.set_criticality(critical);
        why(&["a.example"], vec![extension])
    };
    let der = |digest: &[u8]| [&[0x04, 0x20], digest].concat();
    assert!(why(&["a.example"], vec![]).contains("no acmeIdentifier"));
    assert!(content(der(&acme_digest()), false).contains("not marked critical"));
    assert!(content(der(&[7; 32]), true).contains(&"07".repeat(32)));
    assert!(content(acme_digest(), true).contains("OCTET STRING"));
    assert!(content(der(&acme_digest()[1..]), true).contains("OCTET STRING"));
    assert!(content([der(&acme_digest()), vec![0]].concat(), true).contains("OCTET STRING"));
    assert!(content(vec![], true).contains("OCTET STRING"));
    let mut old =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 30, 1], der(&acme_digest()));
    old.set_criticality(true);
    assert!(why(&["a.example"], vec![old]).contains("no acmeIdentifier"));
    assert!(why(&["a.example"], vec![proof(), proof()]).contains("more than once"));
}

#[test]
fn only_a_whole_certificate_is_one() {
    let (certificate, _) = self_signed(&["a.example"], vec![proof()]);
    let longer = [certificate.as_ref(), &[0]].concat();
    assert!(check(&longer, &name(), &acme_digest()).is_err());
    for length in 0..certificate.len() {
        assert!(check(&certificate[..length], &name(), &acme_digest()).is_err());
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes: Vec<u8>) {
        prop_assert!(check(&bytes, &name(), &acme_digest()).is_err());
    }

    /// One flipped bit may fall where nothing is looked at, but must not panic.
    #[test]
    fn a_damaged_certificate_never_panics(at: prop::sample::Index, bit in 0..8_u8) {
        let (certificate, _) = self_signed(&["a.example"], vec![proof()]);
        let mut bytes = certificate.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = check(&bytes, &name(), &acme_digest());
    }
}
