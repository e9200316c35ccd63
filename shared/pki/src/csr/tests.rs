//! Every rule, broken by a request that is otherwise good and really signed.

use certfleet_domain::ProblemKind;
use proptest::prelude::*;

use super::*;
use crate::public_key::WeakKey;
use crate::testing::csr::{Attribute, Request, SHA1_WITH_ECDSA, extension, ip, name, names};

fn parse(request: &Request) -> Result<CheckedCsr, CsrProblem> {
    CheckedCsr::parse(&request.der(), &names(&["example.org"]))
}

fn good() -> Request {
    Request::new(&[name("example.org")])
}

#[test]
fn a_good_request_gives_its_key_and_its_octets() {
    let request = good();
    let der = request.der();
    let csr = CheckedCsr::parse(&der, &names(&["example.org"])).unwrap();
    assert_eq!(csr.der(), der);
    assert_eq!(csr.spki_der(), request.spki);
    assert!(!csr.must_staple());
}

#[test]
fn what_rcgen_writes_is_accepted() {
    let params = rcgen::CertificateParams::new(["a.example.org".to_owned()]).unwrap();
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_RSA_SHA512,
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let mut params = params.clone();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&key).unwrap();
        let ordered = names(&["a.example.org"]);
        assert!(
            CheckedCsr::parse(request.der(), &ordered).is_ok(),
            "{algorithm:?}"
        );
    }
}

#[test]
fn octets_behind_the_request_are_refused() {
    let der = [&good().der()[..], &[0]].concat();
    let result = CheckedCsr::parse(&der, &names(&["example.org"]));
    assert_eq!(result, Err(CsrProblem::TrailingData));
}

#[test]
fn elements_that_do_not_belong_are_refused() {
    let mut inside = good();
    inside.behind_attributes = vec![0x05, 0x00];
    assert_eq!(parse(&inside), Err(CsrProblem::Malformed));
    let mut outside = good();
    outside.behind_signature = vec![0x05, 0x00];
    assert_eq!(parse(&outside), Err(CsrProblem::Malformed));
}

#[test]
fn what_is_no_request_is_refused() {
    for bad in [
        &b""[..],
        b"\x30\x00",
        b"-----BEGIN CERTIFICATE REQUEST-----",
    ] {
        let result = CheckedCsr::parse(bad, &names(&["example.org"]));
        assert_eq!(result, Err(CsrProblem::Malformed));
    }
}

#[test]
fn the_version_is_1() {
    let mut request = good();
    request.version = 1;
    assert_eq!(parse(&request), Err(CsrProblem::Version));
}

#[test]
fn the_signature_has_to_be_by_the_key() {
    let mut request = good();
    request.spki = good().spki;
    assert_eq!(parse(&request), Err(CsrProblem::Signature));
    let mut request = good();
    request.spoil_signature = true;
    assert_eq!(parse(&request), Err(CsrProblem::Signature));
}

#[test]
fn hashes_that_can_be_forged_are_refused() {
    let md5_with_rsa: &[u64] = &[1, 2, 840, 113_549, 1, 1, 4];
    let sha1_with_rsa: &[u64] = &[1, 2, 840, 113_549, 1, 1, 5];
    for algorithm in [SHA1_WITH_ECDSA, md5_with_rsa, sha1_with_rsa] {
        let mut request = good();
        request.signature_algorithm = algorithm;
        assert_eq!(parse(&request), Err(CsrProblem::BrokenHash));
    }
}

#[test]
fn unknown_signature_algorithms_are_refused() {
    let mut request = good();
    // RSASSA-PSS
    request.signature_algorithm = &[1, 2, 840, 113_549, 1, 1, 10];
    let expected = CsrProblem::SignatureAlgorithm("1.2.840.113549.1.1.10".to_owned());
    assert_eq!(parse(&request), Err(expected));
}

#[test]
fn weak_keys_are_refused() {
    let mut request = good();
    request.spki = crate::testing::rsa_spki(&[0xff; 128], &[1, 0, 1]);
    assert_eq!(
        parse(&request),
        Err(CsrProblem::Key(WeakKey::RsaSize(1024)))
    );
    let mut params = rcgen::CertificateParams::new(["example.org".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let request = params.serialize_request(&key).unwrap();
    let result = CheckedCsr::parse(request.der(), &names(&["example.org"]));
    assert_eq!(result, Err(CsrProblem::Key(WeakKey::Ed25519)));
}

#[test]
fn names_are_those_ordered_in_any_order_and_case() {
    let request = Request::new(&[
        name("WWW.Example.Org"),
        ip(&[192, 0, 2, 1]),
        name("*.example.org"),
        name("example.org"),
        name("example.org"),
        ip(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ]);
    let mut ordered = names(&["example.org", "*.example.org", "www.example.org"]);
    ordered.push(Identifier::ip("192.0.2.1").unwrap());
    ordered.push(Identifier::ip("2001:db8::1").unwrap());
    assert!(CheckedCsr::parse(&request.der(), &ordered).is_ok());
}

#[test]
fn other_names_than_those_ordered_are_refused() {
    let request = Request::new(&[name("a.example.org"), name("b.example.org")]);
    let ordered = names(&["b.example.org", "c.example.org"]);
    let problem = CheckedCsr::parse(&request.der(), &ordered).unwrap_err();
    let expected = CsrProblem::Names {
        missing: names(&["c.example.org"]),
        extra: names(&["a.example.org"]),
    };
    assert_eq!(problem, expected);
    assert_eq!(
        problem.to_string(),
        "the CSR's names are not those of the order: missing: c.example.org; not ordered: a.example.org"
    );
}

#[test]
fn a_request_without_names_is_refused() {
    let missing = names(&["example.org"]);
    let expected = CsrProblem::Names {
        missing,
        extra: Vec::new(),
    };
    assert_eq!(parse(&Request::new(&[])), Err(expected));
}

#[test]
fn a_list_of_many_differences_stays_readable() {
    let many: Vec<String> = (0..100).map(|n| format!("n{n}.example.org")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let problem = CheckedCsr::parse(&Request::new(&[]).der(), &names(&many)).unwrap_err();
    assert!(problem.to_string().ends_with("and 95 more"), "{problem}");
}

#[test]
fn a_common_name_counts_and_has_to_be_ordered() {
    let mut alone = Request::new(&[]);
    alone.common_name = Some("Example.ORG".to_owned());
    assert!(parse(&alone).is_ok());
    for other in ["other.example.org", "My Server", "", "*.org"] {
        let mut request = good();
        request.common_name = Some(other.to_owned());
        assert_eq!(
            parse(&request),
            Err(CsrProblem::CommonName(other.to_owned()))
        );
    }
    let mut address = Request::new(&[]);
    address.common_name = Some("2001:DB8:0:0::1".to_owned());
    let ordered = [Identifier::ip("2001:db8::1").unwrap()];
    assert!(CheckedCsr::parse(&address.der(), &ordered).is_ok());
}

#[test]
fn a_common_name_that_is_no_text_is_refused() {
    let mut request = good();
    request.common_name = Some("example.org".to_owned());
    // A BMPString, of which these octets are none that could be read as a name.
    request.common_name_tag = 30;
    assert_eq!(parse(&request), Err(CsrProblem::CommonNameEncoding));
}

#[test]
fn other_types_of_names_are_refused() {
    let cases = [
        (0x81, "rfc822Name"),
        (0x86, "uniformResourceIdentifier"),
        (0x88, "registeredID"),
    ];
    for (tag, kind) in cases {
        let request = Request::new(&[name("example.org"), vec![tag, 3, b'a', b'@', b'b']]);
        assert_eq!(parse(&request), Err(CsrProblem::NameType(kind)));
    }
    let other_name = vec![0xa0, 5, 0x06, 1, 0x2a, 0xa0, 0];
    let request = Request::new(&[other_name]);
    assert_eq!(parse(&request), Err(CsrProblem::NameType("otherName")));
    let directory_name = vec![0xa4, 2, 0x30, 0];
    let request = Request::new(&[directory_name]);
    assert_eq!(parse(&request), Err(CsrProblem::NameType("directoryName")));
}

#[test]
fn names_that_are_none_are_refused() {
    for bad in [
        "",
        "a..b",
        "*.org",
        "-a.org",
        "a_b.org",
        "192.0.2.1",
        "b\u{fc}cher.example",
    ] {
        let request = Request::new(&[name("example.org"), name(bad)]);
        assert!(
            matches!(parse(&request), Err(CsrProblem::Name(_))),
            "{bad:?}"
        );
    }
    for octets in [&[][..], &[127, 0, 0], &[0; 8], &[0; 17]] {
        let request = Request::new(&[name("example.org"), ip(octets)]);
        assert_eq!(
            parse(&request),
            Err(CsrProblem::AddressLength(octets.len()))
        );
    }
}

#[test]
fn a_malformed_extension_of_names_is_refused() {
    let mut request = good();
    request.attributes = vec![Attribute::Extensions(vec![extension(
        &[2, 5, 29, 17],
        &[0x30, 5, 0x82],
    )])];
    assert_eq!(parse(&request), Err(CsrProblem::MalformedNames));
}

#[test]
fn an_extension_counts_once() {
    let request = good();
    let Some(Attribute::Extensions(list)) = request.attributes.first().cloned() else {
        panic!("a good request asks for extensions");
    };
    let mut twice = good();
    twice.attributes = vec![Attribute::Extensions([list.clone(), list.clone()].concat())];
    assert_eq!(
        parse(&twice),
        Err(CsrProblem::RepeatedExtension("2.5.29.17".to_owned()))
    );
    let mut lists = good();
    lists.attributes = vec![
        Attribute::Extensions(list.clone()),
        Attribute::Extensions(list),
    ];
    assert_eq!(parse(&lists), Err(CsrProblem::RepeatedExtensionRequest));
}

#[test]
fn extensions_and_attributes_without_meaning_here_are_ignored() {
    let mut request = good();
    if let Some(Attribute::Extensions(list)) = request.attributes.first_mut() {
        // cA = true, and an extension nobody knows.
        list.push(extension(&[2, 5, 29, 19], &[0x30, 3, 1, 1, 0xff]));
        list.push(extension(&[1, 3, 6, 1, 4, 1, 99_999, 1], b"\x05\x00"));
    }
    request.attributes.push(Attribute::ChallengePassword);
    assert!(parse(&request).is_ok());
}

#[test]
fn must_staple_is_exactly_status_request() {
    let with = |value: &[u8]| {
        let mut request = good();
        if let Some(Attribute::Extensions(list)) = request.attributes.first_mut() {
            list.push(extension(TLS_FEATURE_OID, value));
        }
        request
    };
    let request = with(&[0x30, 3, 2, 1, 5]);
    assert!(parse(&request).unwrap().must_staple());
    // status_request_v2, both, none, nonsense.
    for other in [
        &[0x30, 3, 2, 1, 17][..],
        &[0x30, 6, 2, 1, 5, 2, 1, 17],
        &[0x30, 0],
        b"x",
    ] {
        assert_eq!(parse(&with(other)), Err(CsrProblem::TlsFeature));
    }
}

#[test]
fn every_problem_is_a_bad_csr_with_a_sentence() {
    let problem = CsrProblem::Key(WeakKey::RsaSize(1024)).problem();
    assert_eq!(problem.kind, ProblemKind::BadCsr);
    assert_eq!(
        problem.detail,
        "the CSR's public key is refused: its RSA modulus has 1024 bits; 2048 to 4096, in steps of 8, are accepted"
    );
}

proptest! {
    #[test]
    fn any_octets_are_an_answer(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = CheckedCsr::parse(&octets, &names(&["example.org"]));
    }

    #[test]
    fn any_damage_is_an_answer(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
    ) {
        let mut der = good().der();
        let whole = der.clone();
        for (place, octet) in damage {
            let place = place.index(der.len());
            der[place] = octet;
        }
        let ordered = names(&["example.org"]);
        let damaged = CheckedCsr::parse(&der, &ordered);
        prop_assert!(damaged.is_err() || der == whole);
        let cut = length.index(whole.len());
        prop_assert!(CheckedCsr::parse(&whole[..cut], &ordered).is_err());
    }
}
