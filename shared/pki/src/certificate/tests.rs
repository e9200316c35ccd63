//! What is signed is what was asked for, and nothing is signed that should not be.

use certfleet_domain::{Identifier, Profile, Serial, SystemRng};
use time::Duration;
use time::macros::datetime;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::*;
use crate::signer::SignatureAlgorithm;
use crate::testing::csr::names;
use crate::testing::{TestSigner, intermediate, now, root};

struct Fixture {
    issuer: Vec<u8>,
    signer: TestSigner,
    subject: TestSigner,
    profile: Profile,
    identifiers: Vec<Identifier>,
}

impl Fixture {
    fn new() -> Self {
        let root_signer = TestSigner::p384();
        let signer = TestSigner::p256();
        let root = root("Root", &root_signer);
        Self {
            issuer: intermediate(&signer.spki_der(), &root, &root_signer),
            signer,
            subject: TestSigner::p256(),
            profile: Profile::classic(),
            identifiers: names(&["example.org", "*.example.org"]),
        }
    }

    /// Issues after a change to an otherwise good template.
    fn issue(
        &self,
        change: impl FnOnce(&mut CertificateTemplate<'_>),
    ) -> Result<Vec<u8>, IssueError> {
        self.issue_with(&self.signer, change)
    }

    fn issue_with(
        &self,
        signer: &dyn Signer,
        change: impl FnOnce(&mut CertificateTemplate<'_>),
    ) -> Result<Vec<u8>, IssueError> {
        let (not_before, not_after) = self.profile.validity(now(), None, None);
        let spki_der = self.subject.spki_der();
        let mut template = CertificateTemplate {
            serial: Serial::generate(&mut SystemRng),
            not_before,
            not_after,
            identifiers: &self.identifiers,
            spki_der: &spki_der,
            profile: &self.profile,
            must_staple: false,
            crl_url: Some("http://pki.example.org/1.crl"),
            issuer_url: Some("http://pki.example.org/1.cer"),
            ocsp_url: Some("http://ocsp.example.org"),
        };
        change(&mut template);
        issue(&template, &self.issuer, signer)
    }
}

fn oids(der: &[u8]) -> Vec<(String, bool)> {
    let certificate = read(der).unwrap();
    certificate
        .iter_extensions()
        .map(|extension| (extension.oid.to_id_string(), extension.critical))
        .collect()
}

#[test]
fn a_leaf_has_what_servers_need_and_no_subject() {
    let der = Fixture::new().issue(|_| ()).unwrap();
    let certificate = read(&der).unwrap();
    assert_eq!(certificate.subject().iter().count(), 0);
    let mut found = oids(&der);
    found.sort();
    let expected = [
        ("1.3.6.1.5.5.7.1.1", false),
        ("2.5.29.15", true),
        ("2.5.29.17", true),
        ("2.5.29.31", false),
        ("2.5.29.32", false),
        ("2.5.29.35", false),
        ("2.5.29.37", false),
    ];
    let expected = expected.map(|(oid, critical)| (oid.to_owned(), critical));
    assert_eq!(found, expected);
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_encipherment() && !usage.key_cert_sign());
    let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && !purposes.client_auth && !purposes.any);
}

#[test]
fn the_key_identifiers_join_leaf_and_issuer() {
    let fixture = Fixture::new();
    let der = fixture.issue(|_| ()).unwrap();
    let leaf = read(&der).unwrap();
    let issuer = read(&fixture.issuer).unwrap();
    let authority = leaf
        .iter_extensions()
        .find_map(|e| match e.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
            _ => None,
        });
    let subject = issuer
        .iter_extensions()
        .find_map(|e| match e.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id),
            _ => None,
        });
    assert!(authority.is_some());
    assert_eq!(authority, subject);
}

#[test]
fn the_urls_stand_where_clients_look() {
    let der = Fixture::new().issue(|_| ()).unwrap();
    let leaf = read(&der).unwrap();
    let mut urls = Vec::new();
    for extension in leaf.iter_extensions() {
        if let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() {
            for description in access.iter() {
                if let GeneralName::URI(url) = description.access_location {
                    urls.push((description.access_method.to_id_string(), url));
                }
            }
        }
    }
    let expected = [
        ("1.3.6.1.5.5.7.48.1".to_owned(), "http://ocsp.example.org"),
        (
            "1.3.6.1.5.5.7.48.2".to_owned(),
            "http://pki.example.org/1.cer",
        ),
    ];
    assert_eq!(urls, expected);
}

#[test]
fn a_shortlived_certificate_has_no_revocation_data() {
    let mut fixture = Fixture::new();
    fixture.profile = Profile::shortlived();
    let der = fixture.issue(|_| ()).unwrap();
    assert!(!oids(&der).iter().any(|(oid, _)| oid == "2.5.29.31"));
    let text = String::from_utf8_lossy(&der);
    assert!(!text.contains("ocsp") && text.contains("pki.example.org/1.cer"));
}

#[test]
fn must_staple_is_in_it_when_asked_for() {
    let fixture = Fixture::new();
    let feature = |der: &[u8]| oids(der).contains(&("1.3.6.1.5.5.7.1.24".to_owned(), false));
    assert!(feature(&fixture.issue(|t| t.must_staple = true).unwrap()));
    assert!(!feature(&fixture.issue(|_| ()).unwrap()));
}

#[test]
fn validity_is_exact_and_beyond_2050_too() {
    let der = Fixture::new().issue(|_| ()).unwrap();
    let (not_before, not_after) = validity_of_certificate(&der).unwrap();
    assert_eq!(not_before, datetime!(2026-11-01 11:00 UTC));
    assert_eq!(not_after, datetime!(2027-01-30 10:59:59 UTC));
    let signer = TestSigner::p256();
    let template = crate::RootTemplate {
        subject: crate::CaSubject::new("Old", "Example", None).unwrap(),
        serial: Serial::generate(&mut SystemRng),
        not_before: now(),
        not_after: datetime!(2060-01-01 0:00 UTC),
    };
    let root = crate::create_root(&template, &signer).unwrap();
    assert_eq!(
        validity_of_certificate(&root).unwrap(),
        (now(), datetime!(2060-01-01 0:00 UTC))
    );
}

#[test]
fn templates_that_cannot_be_certified_are_refused() {
    let fixture = Fixture::new();
    let refuse = |change: &dyn Fn(&mut CertificateTemplate<'_>)| {
        let error = fixture.issue(|template| change(template)).unwrap_err();
        assert!(matches!(error, IssueError::Template(_)), "{error}");
    };
    refuse(&|t| t.identifiers = &[]);
    refuse(&|t| t.not_after = t.not_before - Duration::seconds(1));
    refuse(&|t| t.not_after = now() + Duration::days(3 * 365));
    refuse(&|t| t.not_before = now() - Duration::days(2));
    refuse(&|t| t.crl_url = Some("https://pki.example.org/1.crl"));
    refuse(&|t| t.issuer_url = Some("http://"));
    refuse(&|t| t.ocsp_url = Some("http://b\u{fc}cher.example/"));
}

#[test]
fn weak_keys_are_refused_once_more() {
    let spki = crate::testing::rsa_spki(&[0xff; 128], &[1, 0, 1]);
    let mut fixture = Fixture::new();
    fixture.identifiers = names(&["example.org"]);
    let (not_before, not_after) = fixture.profile.validity(now(), None, None);
    let template = CertificateTemplate {
        serial: Serial::generate(&mut SystemRng),
        not_before,
        not_after,
        identifiers: &fixture.identifiers,
        spki_der: &spki,
        profile: &fixture.profile,
        must_staple: false,
        crl_url: None,
        issuer_url: None,
        ocsp_url: None,
    };
    let error = issue(&template, &fixture.issuer, &fixture.signer).unwrap_err();
    assert!(matches!(error, IssueError::Key(WeakKey::RsaSize(1024))));
}

#[test]
fn an_issuer_is_an_authority_with_its_own_key() {
    let mut fixture = Fixture::new();
    let error = fixture.issue_with(&TestSigner::p256(), |_| ()).unwrap_err();
    assert!(matches!(error, IssueError::Issuer(_)), "{error}");
    fixture.issuer = fixture.issue(|_| ()).unwrap();
    let error = fixture.issue(|_| ()).unwrap_err();
    assert!(matches!(error, IssueError::Issuer(_)), "{error}");
}

/// A signer whose signatures are another's, or that does not answer.
struct Faulty<'a> {
    public: &'a TestSigner,
    answer: Result<&'a TestSigner, SignerError>,
}

impl Signer for Faulty<'_> {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.public.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.public.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.answer.clone().and_then(|signer| signer.sign(message))
    }
}

#[test]
fn a_bad_signature_is_never_handed_out() {
    let fixture = Fixture::new();
    let other = TestSigner::p256();
    let signer = Faulty {
        public: &fixture.signer,
        answer: Ok(&other),
    };
    let error = fixture.issue_with(&signer, |_| ()).unwrap_err();
    assert!(matches!(error, IssueError::SelfCheck(_)), "{error}");
}

#[test]
fn the_signers_own_error_comes_through() {
    let fixture = Fixture::new();
    let reason = SignerError::Unavailable("the token is gone".to_owned());
    let signer = Faulty {
        public: &fixture.signer,
        answer: Err(reason.clone()),
    };
    let error = fixture.issue_with(&signer, |_| ()).unwrap_err();
    assert!(
        matches!(error, IssueError::Signer(ref found) if *found == reason),
        "{error}"
    );
}

/// One difference from a good template.
type Change<'a> = &'a dyn Fn(&mut CertificateTemplate<'a>);

/// The check finds each difference by itself: the certificate is good, the template it is compared with is not.
#[test]
fn the_self_check_sees_every_difference() {
    let fixture = Fixture::new();
    let other_key = TestSigner::p256().spki_der();
    let other_names = names(&["example.org"]);
    let changes: [Change<'_>; 6] = [
        &|t| t.serial = Serial::generate(&mut SystemRng),
        &|t| t.not_after -= Duration::seconds(1),
        &|t| t.not_before += Duration::seconds(1),
        &|t| t.spki_der = &other_key,
        &|t| t.identifiers = &other_names,
        &|t| t.must_staple = true,
    ];
    let spki_der = fixture.subject.spki_der();
    let (not_before, not_after) = fixture.profile.validity(now(), None, None);
    let template = CertificateTemplate {
        serial: Serial::generate(&mut SystemRng),
        not_before,
        not_after,
        identifiers: &fixture.identifiers,
        spki_der: &spki_der,
        profile: &fixture.profile,
        must_staple: false,
        crl_url: None,
        issuer_url: None,
        ocsp_url: None,
    };
    let der = issue(&template, &fixture.issuer, &fixture.signer).unwrap();
    let issuer = IssuerCertificate::read(&fixture.issuer).unwrap();
    assert!(self_check::check_leaf(&der, &template, &issuer).is_ok());
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = template.clone();
        change(&mut other);
        assert!(
            self_check::check_leaf(&der, &other, &issuer).is_err(),
            "difference {index}"
        );
    }
}

#[test]
fn a_validity_is_cut_to_what_lies_within_the_issuers() {
    let fixture = Fixture::new();
    let (start, end) = validity_of_certificate(&fixture.issuer).unwrap();
    let second = Duration::seconds(1);
    let cut = |validity| within_issuer(validity, &fixture.issuer);
    let inside = (start + second, end - second);
    assert_eq!(cut(inside), Ok(inside));
    assert_eq!(cut((start - second, end + second)), Ok((start, end)));
    assert_eq!(within_issuer(inside, b"x"), Err(NotACertificate));
}

#[test]
fn the_key_of_a_certificate_is_read_back() {
    let fixture = Fixture::new();
    let der = fixture.issue(|_| ()).unwrap();
    assert_eq!(
        spki_of_certificate(&der).unwrap(),
        fixture.subject.spki_der()
    );
    let trailing = [&der[..], &[0]].concat();
    for bad in [&trailing[..], b"", b"x", &der[1..]] {
        assert_eq!(spki_of_certificate(bad), Err(NotACertificate));
    }
}
