//! The Signer port: what holds an authority's private key and signs with it.
//!
//! A backend is anything that signs bytes: a key in memory, a PKCS#11 token, a service over HTTP. `sign` is blocking,
//! because tokens and libraries are; a worker calls it (and whatever here calls it) in `spawn_blocking`.

use std::cell::RefCell;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rcgen::{PublicKeyData, SigningKey};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// How a signer signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 over SHA-256; the signature is DER (RFC 5758 §3.2).
    EcdsaP256Sha256,
    /// ECDSA on P-384 over SHA-384; the signature is DER (RFC 5758 §3.2).
    EcdsaP384Sha384,
    /// RSASSA-PKCS1-v1_5 over SHA-256 (RFC 4055 §5).
    RsaPkcs1Sha256,
}

/// Why a signer did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The backend cannot be reached now; later it may sign.
    #[error("the signing backend cannot be reached: {0}")]
    Unavailable(String),
    /// The backend refuses, and will again.
    #[error("the signing backend refuses: {0}")]
    Refused(String),
}

/// A signature that is not the key's for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not this key's")]
pub struct BadSignature;

/// How a key signs and what [`Signer::public_key`] gives of it, out of its DER `SubjectPublicKeyInfo`; `None` if it is of no
/// kind that signs here.
pub fn read_spki(der: &[u8]) -> Option<(SignatureAlgorithm, Vec<u8>)> {
    let (rest, spki) = SubjectPublicKeyInfo::from_der(der).ok()?;
    let key = spki.subject_public_key.data.to_vec();
    [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ]
    .into_iter()
    .find(|algorithm| {
        let again = RawKey {
            algorithm: *algorithm,
            raw: &key,
        };
        rest.is_empty() && again.subject_public_key_info() == der
    })
    .map(|algorithm| (algorithm, key.clone()))
}

/// A private key that signs, wherever it lies.
///
/// `sign` blocks for as long as the backend needs: call it where blocking is allowed.
pub trait Signer: Send + Sync {
    /// How it signs.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Its public key as the BIT STRING of a `SubjectPublicKeyInfo` holds it: an uncompressed point (RFC 5480 §2.2),
    /// or an `RSAPublicKey` (RFC 8017 §A.1.1).
    fn public_key(&self) -> &[u8];

    /// Signs the message, which the backend hashes itself.
    ///
    /// # Errors
    /// The backend's; it says whether another try makes sense.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;

    /// Its public key as a DER `SubjectPublicKeyInfo`.
    fn spki_der(&self) -> Vec<u8> {
        let key = RawKey {
            algorithm: self.algorithm(),
            raw: self.public_key(),
        };
        key.subject_public_key_info()
    }
}

impl SignatureAlgorithm {
    fn rcgen(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EcdsaP384Sha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::RsaPkcs1Sha256 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SignatureAlgorithm {
    /// Whether this is the signature of this key, as [`Signer::public_key`] has it, for the message.
    ///
    /// # Errors
    /// It is not.
    pub fn verify(self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let algorithm: &dyn VerificationAlgorithm = match self {
            Self::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
            Self::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(message, signature)
            .map_err(|_| BadSignature)
    }
}

struct RawKey<'a> {
    algorithm: SignatureAlgorithm,
    raw: &'a [u8],
}

impl PublicKeyData for RawKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.raw
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm.rcgen()
    }
}

/// A signer as rcgen wants it. Keeps the signer's error, for which rcgen has no place.
pub(crate) struct Adapter<'a> {
    signer: &'a dyn Signer,
    failure: RefCell<Option<SignerError>>,
}

impl<'a> Adapter<'a> {
    pub(crate) fn new(signer: &'a dyn Signer) -> Self {
        Self {
            signer,
            failure: RefCell::new(None),
        }
    }

    /// Why the last signature failed, if the signer was the reason.
    pub(crate) fn failure(&self) -> Option<SignerError> {
        self.failure.borrow_mut().take()
    }
}

impl PublicKeyData for Adapter<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.signer.public_key()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.signer.algorithm().rcgen()
    }
}

impl SigningKey for Adapter<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|error| {
            self.failure.replace(Some(error));
            rcgen::Error::RemoteKeyError
        })
    }
}
