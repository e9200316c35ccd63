//! Hierarchies that can issue, and each way in which an imported one cannot.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose,
};
use time::Duration;

use super::*;
use crate::certificate::read;
use crate::public_key::WeakKey;
use crate::testing::{TestSigner, intermediate, now, root};

struct Fixture {
    root_signer: TestSigner,
    root: Vec<u8>,
    signer: TestSigner,
    issuer: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        let root_signer = TestSigner::p384();
        let root = root("Root", &root_signer);
        let signer = TestSigner::p256();
        let issuer = intermediate(&signer.spki_der(), &root, &root_signer);
        Self {
            root_signer,
            root,
            signer,
            issuer,
        }
    }

    fn check(&self) -> Result<(), HierarchyProblem> {
        check_hierarchy(&self.root, &[], &self.issuer, &self.signer, now())
    }

    /// Another issuer under the same root, of rcgen's own making.
    fn reissue(&mut self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::default();
        params.not_before = now() - Duration::days(1);
        params.not_after = now() + Duration::days(1);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let root = Issuer::from_ca_cert_der(&self.root.as_slice().into(), &self.root_signer.0);
        let signed = params.signed_by(&self.signer.0, &root.unwrap()).unwrap();
        self.issuer = signed.der().to_vec();
    }
}

const ISSUING: &str = "the issuing certificate";

#[test]
fn what_is_made_here_can_issue() {
    let fixture = Fixture::new();
    assert_eq!(fixture.check(), Ok(()));
    let root = read(&fixture.root).unwrap();
    assert_eq!(root.subject().to_string(), "O=Example Trust, CN=Root");
    let constraints = root.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.path_len_constraint.is_none());
    let issuer = read(&fixture.issuer).unwrap();
    let constraints = issuer.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.path_len_constraint == Some(0));
    for certificate in [root, issuer] {
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(!usage.value.digital_signature());
    }
}

#[test]
fn a_root_may_issue_by_itself() {
    let fixture = Fixture::new();
    let result = check_hierarchy(
        &fixture.root,
        &[],
        &fixture.root,
        &fixture.root_signer,
        now(),
    );
    assert_eq!(result, Ok(()));
}

#[test]
fn a_longer_chain_is_followed_and_may_not_be_interrupted() {
    let mut fixture = Fixture::new();
    let upper_signer = TestSigner::p256();
    fixture.reissue(|_| ());
    let mut upper = Fixture::new();
    upper.signer = upper_signer;
    upper.reissue(|params| params.distinguished_name.push(DnType::CommonName, "Upper"));
    let lowest_signer = TestSigner::p256();
    let lowest = intermediate_under(&lowest_signer, &upper);
    let check = |intermediates: &[Vec<u8>]| {
        check_hierarchy(&upper.root, intermediates, &lowest, &lowest_signer, now())
    };
    assert_eq!(check(std::slice::from_ref(&upper.issuer)), Ok(()));
    let interrupted = HierarchyProblem::NotSignedBy {
        certificate: ISSUING.to_owned(),
        by: "the root".to_owned(),
    };
    assert_eq!(check(&[]), Err(interrupted));
    let not_above = HierarchyProblem::NotSignedBy {
        certificate: ISSUING.to_owned(),
        by: "intermediate 1".to_owned(),
    };
    assert_eq!(check(std::slice::from_ref(&fixture.issuer)), Err(not_above));
}

fn intermediate_under(signer: &TestSigner, upper: &Fixture) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.not_before = now() - Duration::days(1);
    params.not_after = now() + Duration::days(1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = Issuer::from_ca_cert_der(&upper.issuer.as_slice().into(), &upper.signer.0);
    let lower = params.signed_by(&signer.0, &issuer.unwrap()).unwrap();
    lower.der().to_vec()
}

#[test]
fn the_path_may_not_be_longer_than_allowed() {
    let mut fixture = Fixture::new();
    fixture.reissue(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let lowest_signer = TestSigner::p256();
    let lowest = intermediate_under(&lowest_signer, &fixture);
    let result = check_hierarchy(
        &fixture.root,
        std::slice::from_ref(&fixture.issuer),
        &lowest,
        &lowest_signer,
        now(),
    );
    let expected = HierarchyProblem::PathLength {
        certificate: "intermediate 1".to_owned(),
    };
    assert_eq!(result, Err(expected));
}

#[test]
fn the_key_has_to_match() {
    let mut fixture = Fixture::new();
    fixture.signer = TestSigner::p256();
    assert_eq!(fixture.check(), Err(HierarchyProblem::Key));
}

#[test]
fn a_root_of_the_same_name_is_not_the_root() {
    let mut fixture = Fixture::new();
    fixture.root = root("Root", &TestSigner::p384());
    let expected = HierarchyProblem::NotSignedBy {
        certificate: ISSUING.to_owned(),
        by: "the root".to_owned(),
    };
    assert_eq!(fixture.check(), Err(expected));
}

#[test]
fn an_issuer_may_sign_certificates_for_servers() {
    let mut fixture = Fixture::new();
    let certificate = ISSUING.to_owned();
    let not_an_authority = HierarchyProblem::NotAnAuthority {
        certificate: certificate.clone(),
    };
    fixture.reissue(|params| params.is_ca = IsCa::NoCa);
    assert_eq!(fixture.check(), Err(not_an_authority.clone()));
    fixture.reissue(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert_eq!(fixture.check(), Err(not_an_authority));
    fixture.reissue(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    assert_eq!(
        fixture.check(),
        Err(HierarchyProblem::NotForServers { certificate })
    );
    fixture.reissue(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
    assert_eq!(fixture.check(), Ok(()));
}

#[test]
fn an_expired_issuer_is_refused() {
    let mut fixture = Fixture::new();
    fixture.reissue(|params| params.not_after = now() - Duration::seconds(1));
    assert!(matches!(
        fixture.check(),
        Err(HierarchyProblem::NotValid { .. })
    ));
    fixture.reissue(|params| params.not_before = now() + Duration::seconds(1));
    assert!(matches!(
        fixture.check(),
        Err(HierarchyProblem::NotValid { .. })
    ));
}

#[test]
fn a_weak_key_in_the_chain_is_refused() {
    let mut fixture = Fixture::new();
    fixture.signer = TestSigner(rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    fixture.reissue(|_| ());
    let issuer = fixture.issuer.clone();
    let lowest_signer = TestSigner::p256();
    let lowest = intermediate_under(&lowest_signer, &fixture);
    let result = check_hierarchy(&fixture.root, &[issuer], &lowest, &lowest_signer, now());
    let expected = HierarchyProblem::WeakKey {
        certificate: "intermediate 1".to_owned(),
        why: WeakKey::Ed25519,
    };
    assert_eq!(result, Err(expected));
}

#[test]
fn a_name_that_cannot_be_repeated_is_refused() {
    let mut fixture = Fixture::new();
    fixture.reissue(|params| {
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, "ONE");
        params
            .distinguished_name
            .push(DnType::CustomDnType(vec![2, 5, 4, 99]), "TWO");
    });
    assert_eq!(fixture.check(), Ok(()));
    // The second attribute becomes another organizational unit; the root signs it anew.
    let other: &[u8] = &[0x06, 3, 85, 4, 99];
    let unit: &[u8] = &[0x06, 3, 85, 4, 11];
    fixture.issuer = resigned(&fixture, other, unit);
    assert_eq!(fixture.check(), Err(HierarchyProblem::Name));
}

/// The issuer's certificate with some octets replaced, signed again by the root.
fn resigned(fixture: &Fixture, from: &[u8], to: &[u8]) -> Vec<u8> {
    let parsed = read(&fixture.issuer).unwrap();
    let mut contents = parsed.tbs_certificate.as_ref().to_vec();
    let place = contents
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    contents[place..place + to.len()].copy_from_slice(to);
    let signature = fixture.root_signer.sign(&contents).unwrap();
    yasna::construct_der(|writer| {
        writer.write_sequence(|certificate| {
            certificate.next().write_der(&contents);
            certificate.next().write_sequence(|algorithm| {
                // ecdsa-with-SHA384
                let oid = yasna::models::ObjectIdentifier::from_slice(&[1, 2, 840, 10045, 4, 3, 3]);
                algorithm.next().write_oid(&oid);
            });
            certificate
                .next()
                .write_bitvec_bytes(&signature, signature.len() * 8);
        });
    })
}

#[test]
fn octets_that_are_no_certificate_are_refused() {
    let mut fixture = Fixture::new();
    fixture.issuer.push(0);
    let expected = HierarchyProblem::Malformed {
        certificate: ISSUING.to_owned(),
    };
    assert_eq!(fixture.check(), Err(expected));
}

#[test]
fn an_intermediate_lives_within_its_root() {
    let fixture = Fixture::new();
    let template = IntermediateTemplate {
        subject: CaSubject::new("Issuer", "Example", None).unwrap(),
        serial: Serial::generate(&mut certfleet_domain::SystemRng),
        not_before: now(),
        not_after: now() + Duration::days(20 * 365),
        spki_der: &fixture.signer.spki_der(),
        crl_url: None,
        issuer_url: None,
    };
    let error = create_intermediate(&template, &fixture.root, &fixture.root_signer).unwrap_err();
    assert!(matches!(error, IssueError::Template(_)), "{error}");
}

#[test]
fn names_of_authorities_are_checked() {
    assert!(CaSubject::new("Fleet Root R1", "B\u{fc}cher GmbH", Some("DE")).is_ok());
    let long = "x".repeat(65);
    for (common_name, organization, country) in [
        ("", "Example", None),
        (long.as_str(), "Example", None),
        ("Root", "", None),
        ("Root", " Example", None),
        ("Root\n", "Example", None),
        ("Root", "Example", Some("de")),
        ("Root", "Example", Some("DEU")),
    ] {
        assert!(
            CaSubject::new(common_name, organization, country).is_err(),
            "{common_name:?} {organization:?} {country:?}"
        );
    }
}
