//! A certificate as it was delivered, held against what was asked for.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use bson::{Binary, doc, spec::BinarySubtype};
use certfleet_system_tests::Cluster;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, Oid};
use x509_parser::prelude::{FromDer as _, Pem, X509Certificate};

use super::{Home, linter};

/// The TLS feature extension (RFC 7633), which is "must staple".
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
const DAY: i64 = 24 * 60 * 60;

/// The kind of a certificate's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// ECDSA.
    Ecdsa,
    /// RSA.
    Rsa,
}

/// What a client asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    names: &'a [&'a str],
    key: Key,
    must_staple: bool,
    lifetime: i64,
}

impl<'a> Asked<'a> {
    /// These names and addresses, an ECDSA key, and the default profile.
    pub(crate) fn ecdsa(names: &'a [&'a str]) -> Self {
        Self {
            names,
            key: Key::Ecdsa,
            must_staple: false,
            lifetime: 90 * DAY,
        }
    }

    /// The same with an RSA key.
    pub(crate) fn rsa(names: &'a [&'a str]) -> Self {
        Self {
            key: Key::Rsa,
            ..Self::ecdsa(names)
        }
    }

    /// That it be good only with a stapled OCSP answer.
    pub(crate) fn must_staple(self) -> Self {
        Self {
            must_staple: true,
            ..self
        }
    }

    /// The profile of 160 hours.
    pub(crate) fn short_lived(self) -> Self {
        Self {
            lifetime: 160 * 60 * 60,
            ..self
        }
    }
}

/// A certificate as the client keeps it.
pub(crate) struct Delivered {
    leaf: Vec<u8>,
}

impl Delivered {
    /// The leaf of a chain in a home, which has to be as asked, belong to the key, and be trusted by who trusts the
    /// root alone.
    pub(crate) fn check(home: &Home<'_>, chain: &str, key: &str, asked: Asked<'_>) -> Self {
        let pem = home.read(chain);
        let chain_of_two: Vec<Pem> = Pem::iter_from_buffer(pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let [leaf, issuer] = chain_of_two.as_slice() else {
            panic!(
                "leaf and intermediate are due, not {} certificates:\n{pem}",
                chain_of_two.len()
            );
        };
        verify(home, chain, asked.names);
        let of_key = home.run(&format!("openssl pkey -in {key} -pubout"));
        let of_certificate = home.run(&format!("openssl x509 -in {chain} -noout -pubkey"));
        assert_eq!(of_key, of_certificate, "{chain} is not for {key}");
        compare(&leaf.contents, asked);
        let (leaf_file, issuer_file) = (home.path("leaf.der"), home.path("issuer.der"));
        fs::write(&leaf_file, &leaf.contents).unwrap();
        fs::write(&issuer_file, &issuer.contents).unwrap();
        let wildcard = asked.names.iter().any(|name| name.starts_with("*."));
        linter::lint(&leaf_file, if wildcard { &[linter::WILDCARD] } else { &[] });
        linter::lint_pair(&issuer_file, &leaf_file);
        Self {
            leaf: leaf.contents.clone(),
        }
    }

    /// Asserts that it is another certificate.
    pub(crate) fn assert_renewed_from(&self, other: &Self) {
        let serial = |certificate: &Self| {
            let (_, parsed) = X509Certificate::from_der(&certificate.leaf).unwrap();
            parsed.raw_serial_as_string()
        };
        assert_ne!(
            serial(self),
            serial(other),
            "it is still the same certificate"
        );
    }

    /// Asserts that the authority holds it revoked for this reason, or not revoked.
    pub(crate) async fn assert_revoked(&self, cluster: &Cluster, reason: Option<&str>) {
        let der = Binary {
            subtype: BinarySubtype::Generic,
            bytes: self.leaf.clone(),
        };
        let database = cluster.database().await.unwrap();
        let found = database
            .find("certificates", doc! { "state.der": der })
            .await
            .unwrap();
        let [document] = found.as_slice() else {
            panic!("{} documents of one certificate", found.len());
        };
        let state = document.get_document("state").unwrap();
        assert_eq!(state.get_str("reason").ok(), reason, "{state}");
    }
}

/// openssl trusts it by the root alone, with the chain as delivered, for a TLS server of each name.
fn verify(home: &Home<'_>, chain: &str, names: &[&str]) {
    for name in names {
        let of_name = if name.parse::<IpAddr>().is_ok() {
            format!("-verify_ip {name}")
        } else {
            format!("-verify_hostname {}", name.replace('*', "any"))
        };
        home.run(&format!(
            "openssl verify -no-CApath -no-CAstore -CAfile root.pem -untrusted {chain} -x509_strict -purpose sslserver \
             {of_name} {chain}"
        ));
    }
}

fn compare(leaf: &[u8], asked: Asked<'_>) {
    let (_, certificate) = X509Certificate::from_der(leaf).unwrap();
    let names = certificate
        .subject_alternative_name()
        .unwrap()
        .expect("no subject alternative name");
    let names: BTreeSet<String> = names.value.general_names.iter().map(text).collect();
    let due: BTreeSet<String> = asked.names.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(names, due);

    let key = if certificate.public_key().algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        Key::Rsa
    } else {
        assert_eq!(
            certificate.public_key().algorithm.algorithm,
            OID_KEY_TYPE_EC_PUBLIC_KEY
        );
        Key::Ecdsa
    };
    assert!(key == asked.key, "a key of the wrong kind");

    let feature = TLS_FEATURE.parse::<Oid<'_>>().unwrap();
    let must_staple = certificate
        .extensions()
        .iter()
        .any(|extension| extension.oid == feature);
    assert_eq!(must_staple, asked.must_staple, "must staple");

    // Both ends of a validity are part of it (RFC 5280 §4.1.2.5).
    let validity = certificate.validity();
    let lifetime = validity.not_after.timestamp() - validity.not_before.timestamp() + 1;
    assert_eq!(lifetime, asked.lifetime, "seconds of validity");
}

fn text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(octets) => match *octets {
            [a, b, c, d] => IpAddr::from([*a, *b, *c, *d]).to_string(),
            octets => IpAddr::from(<[u8; 16]>::try_from(octets).unwrap()).to_string(),
        },
        other => panic!("a name of a kind that nobody asked for: {other:?}"),
    }
}
