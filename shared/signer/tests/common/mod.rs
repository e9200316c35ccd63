//! What the tests over real certificates share: a hierarchy of real keys, and a few kinds of leaves.

use std::net::IpAddr;

use certfleet_domain::{Identifier, Issuer, IssuerId, Profile, Serial, SystemClock, SystemRng};
use certfleet_pki::{
    CaSubject, CertificateTemplate, IntermediateTemplate, RootTemplate, Signer,
    create_intermediate, create_root, issue,
};
use certfleet_signer::{InternalKey, KeyAlgorithm};
use time::{Duration, OffsetDateTime};

/// An authority with its issuing key.
pub(crate) struct Authority {
    pub(crate) issuer: Issuer,
    pub(crate) key: InternalKey,
}

/// One kind of certificate.
pub(crate) struct Leaf {
    pub(crate) name: &'static str,
    pub(crate) key: KeyAlgorithm,
    pub(crate) profile: Profile,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) must_staple: bool,
    /// Whether it names where CRL, issuer and OCSP are.
    pub(crate) urls: bool,
}

/// The leaves that differ in a way that a linter or verifier might mind.
pub(crate) fn leaves() -> Vec<Leaf> {
    let names = |names: &[&str]| -> Vec<Identifier> {
        names.iter().map(|n| Identifier::dns(n).unwrap()).collect()
    };
    let leaf = |name, key, profile, identifiers, urls| Leaf {
        name,
        key,
        profile,
        identifiers,
        must_staple: false,
        urls,
    };
    let ip = |text: &str| Identifier::Ip(text.parse::<IpAddr>().unwrap());
    let classic = Profile::classic;
    vec![
        leaf(
            "p256",
            KeyAlgorithm::EcdsaP256,
            classic(),
            names(&["www.example.com"]),
            true,
        ),
        leaf(
            "p384",
            KeyAlgorithm::EcdsaP384,
            classic(),
            names(&["www.example.com"]),
            true,
        ),
        leaf(
            "rsa",
            KeyAlgorithm::Rsa2048,
            classic(),
            names(&["www.example.com"]),
            true,
        ),
        leaf(
            "wildcard",
            KeyAlgorithm::EcdsaP256,
            classic(),
            names(&["example.com", "*.example.com", "xn--bcher-kva.example.com"]),
            true,
        ),
        leaf(
            "ip",
            KeyAlgorithm::EcdsaP256,
            Profile::shortlived(),
            vec![ip("198.41.0.4"), ip("2001:503:ba3e::2:30")],
            true,
        ),
        leaf(
            "shortlived",
            KeyAlgorithm::EcdsaP256,
            Profile::shortlived(),
            names(&["www.example.com"]),
            true,
        ),
        Leaf {
            must_staple: true,
            ..leaf(
                "staple",
                KeyAlgorithm::EcdsaP256,
                classic(),
                names(&["www.example.com"]),
                true,
            )
        },
        leaf(
            "plain",
            KeyAlgorithm::EcdsaP256,
            classic(),
            names(&["www.example.com"]),
            false,
        ),
    ]
}

/// A root and an intermediate of these kinds.
pub(crate) fn authority(root: KeyAlgorithm, intermediate: KeyAlgorithm) -> Authority {
    let now = now();
    let root_key = InternalKey::generate(root).unwrap();
    let root = RootTemplate {
        subject: CaSubject::new("Test Root X1", "Example Trust", Some("DE")).unwrap(),
        serial: Serial::generate(&mut SystemRng),
        not_before: now - Duration::hours(1),
        not_after: now + Duration::days(20 * 365),
    };
    let root = create_root(&root, &root_key).unwrap();
    let key = InternalKey::generate(intermediate).unwrap();
    let template = IntermediateTemplate {
        subject: CaSubject::new("Test Issuer E1", "Example Trust", Some("DE")).unwrap(),
        serial: Serial::generate(&mut SystemRng),
        not_before: now - Duration::hours(1),
        not_after: now + Duration::days(5 * 365),
        spki_der: &key.spki_der(),
        crl_url: Some("http://pki.example.com/root.crl"),
        issuer_url: Some("http://pki.example.com/root.cer"),
    };
    let certificate = create_intermediate(&template, &root, &root_key).unwrap();
    let issuer = Issuer {
        id: IssuerId::generate(&SystemClock, &mut SystemRng),
        certificate,
        intermediates: Vec::new(),
        root,
    };
    Authority { issuer, key }
}

impl Authority {
    /// Signs a leaf for a new key.
    pub(crate) fn issue(&self, leaf: &Leaf) -> Vec<u8> {
        let subject = InternalKey::generate(leaf.key).unwrap();
        let (not_before, not_after) = leaf.profile.validity(now(), None, None);
        let url = |url| leaf.urls.then_some(url);
        let template = CertificateTemplate {
            serial: Serial::generate(&mut SystemRng),
            not_before,
            not_after,
            identifiers: &leaf.identifiers,
            spki_der: &subject.spki_der(),
            profile: &leaf.profile,
            must_staple: leaf.must_staple,
            crl_url: url("http://pki.example.com/1/crl/7.crl"),
            issuer_url: url("http://pki.example.com/1.cer"),
            ocsp_url: url("http://ocsp.example.com"),
        };
        issue(&template, &self.issuer.certificate, &self.key).unwrap()
    }
}

/// The present: openssl and the linter look at the machine's clock, and so do these tests.
pub(crate) fn now() -> OffsetDateTime {
    use certfleet_domain::Clock as _;
    let now = SystemClock.now();
    now.replace_millisecond(0).unwrap()
}
