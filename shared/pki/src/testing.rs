//! What the tests of this crate share: a signer and authorities in memory, keys by their numbers, requests by hand.

pub(crate) mod csr;

use certfleet_domain::{Serial, SystemRng, Timestamp};
use rcgen::{KeyPair, SigningKey};
use time::Duration;
use time::macros::datetime;
use yasna::models::ObjectIdentifier;

use crate::hierarchy::{
    CaSubject, IntermediateTemplate, RootTemplate, create_intermediate, create_root,
};
use crate::signer::{SignatureAlgorithm, Signer, SignerError};

/// An ECDSA key in memory.
pub(crate) struct TestSigner(pub(crate) KeyPair);

impl TestSigner {
    pub(crate) fn p256() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap())
    }

    pub(crate) fn p384() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap())
    }
}

impl Signer for TestSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        if *self.0.algorithm() == rcgen::PKCS_ECDSA_P384_SHA384 {
            SignatureAlgorithm::EcdsaP384Sha384
        } else {
            SignatureAlgorithm::EcdsaP256Sha256
        }
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key_raw()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        SigningKey::sign(&self.0, message).map_err(|error| SignerError::Refused(error.to_string()))
    }
}

/// The `SubjectPublicKeyInfo` of an RSA key with these numbers, big-endian.
pub(crate) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    rsa_spki_of(&yasna::construct_der(|writer| {
        writer.write_sequence(|numbers| {
            numbers.next().write_bigint_bytes(modulus, true);
            numbers.next().write_bigint_bytes(exponent, true);
        });
    }))
}

/// The `SubjectPublicKeyInfo` of these octets as an RSA key.
pub(crate) fn rsa_spki_of(key: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|spki| {
            spki.next().write_sequence(|algorithm| {
                let oid = ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 1, 1]);
                algorithm.next().write_oid(&oid);
                algorithm.next().write_null();
            });
            spki.next().write_bitvec_bytes(key, key.len() * 8);
        });
    })
}

/// A moment all tests agree on.
pub(crate) fn now() -> Timestamp {
    datetime!(2026-11-01 12:00 UTC)
}

/// A root, valid for ten years around [`now`], as DER.
pub(crate) fn root(common_name: &str, signer: &dyn Signer) -> Vec<u8> {
    let template = RootTemplate {
        subject: CaSubject::new(common_name, "Example Trust", None).unwrap(),
        serial: Serial::generate(&mut SystemRng),
        not_before: now() - Duration::days(365),
        not_after: now() + Duration::days(9 * 365),
    };
    create_root(&template, signer).unwrap()
}

/// An intermediate for this key, valid for two years from [`now`], as DER.
pub(crate) fn intermediate(spki_der: &[u8], root: &[u8], root_signer: &dyn Signer) -> Vec<u8> {
    let template = IntermediateTemplate {
        subject: CaSubject::new("Issuer E1", "Example Trust", None).unwrap(),
        serial: Serial::generate(&mut SystemRng),
        not_before: now() - Duration::days(1),
        not_after: now() + Duration::days(2 * 365),
        spki_der,
        crl_url: None,
        issuer_url: None,
    };
    create_intermediate(&template, root, root_signer).unwrap()
}

/// An intermediate under a root of its own, as DER, and its key.
pub(crate) fn issuer() -> (Vec<u8>, TestSigner) {
    let root_signer = TestSigner::p384();
    let signer = TestSigner::p256();
    let root = root("Root", &root_signer);
    let certificate = intermediate(&signer.spki_der(), &root, &root_signer);
    (certificate, signer)
}
