//! Which public keys are good enough: for a certificate, and for an account.
//!
//! The rules are the CA/Browser Forum's Baseline Requirements (6.1.1.3, 6.1.5, 6.1.6), narrowed to what clients and
//! browsers use: ECDSA on P-256 and P-384, and RSA of 2048 to 4096 bits with the exponent 65537. Ed25519 is refused in
//! certificates because those requirements, and so every linter and browser, know no such key.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use crypto_bigint::BoxedUint;
use yasna::ASN1Result;
use yasna::models::ObjectIdentifier;

use crate::der::{algorithm_identifier, object_identifier};
use crate::weak_key::{self, Weakness};

/// The sizes of RSA keys that are accepted, in bits.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;
/// The one RSA exponent that is accepted, big-endian: 65537.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// rsaEncryption (RFC 3279 §2.3.1).
const RSA_ENCRYPTION: &[u64] = &[1, 2, 840, 113_549, 1, 1, 1];
/// id-ecPublicKey, with the curves below (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: &[u64] = &[1, 2, 840, 10045, 2, 1];
const P256: &[u64] = &[1, 2, 840, 10045, 3, 1, 7];
const P384: &[u64] = &[1, 3, 132, 0, 34];
/// id-Ed25519 (RFC 8410 §3).
const ED25519: &[u64] = &[1, 3, 101, 112];
/// NULL in DER.
const NULL: &[u8] = &[0x05, 0x00];

/// Why a public key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// Not a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), or more than one.
    #[error("it is not a well-formed SubjectPublicKeyInfo")]
    Malformed,
    /// An Ed25519 key.
    #[error(
        "it is an Ed25519 key, which browsers do not accept in certificates; use ECDSA P-256 or P-384, or RSA"
    )]
    Ed25519,
    /// Another algorithm; its OID.
    #[error("its algorithm ({0}) is not supported; use ECDSA P-256 or P-384, or RSA")]
    Algorithm(String),
    /// An elliptic curve that is not accepted; its OID, or why there is none.
    #[error("its elliptic curve ({0}) is not supported; use P-256 or P-384")]
    Curve(String),
    /// An elliptic curve point that is compressed, at infinity, or of the wrong length.
    #[error("its elliptic curve point is not in uncompressed form")]
    PointForm,
    /// A point that is not on the curve.
    #[error("its point does not lie on the curve it names")]
    NotOnCurve,
    /// An RSA modulus of a size that is not accepted, in bits.
    #[error("its RSA modulus has {0} bits; 2048 to 4096, in steps of 8, are accepted")]
    RsaSize(u32),
    /// An RSA exponent other than 65537.
    #[error("its RSA exponent is not 65537")]
    RsaExponent,
    /// An RSA modulus with this small prime factor.
    #[error("its RSA modulus is divisible by {0}: the key can be broken; generate another")]
    SmallFactor(u32),
    /// An RSA modulus that Fermat's method factors.
    #[error(
        "the primes of its RSA modulus lie too close together (CVE-2022-26320): the key can be broken; generate \
         another with an up-to-date library"
    )]
    CloseFactors,
    /// An RSA modulus made by the faulty Infineon generator.
    #[error(
        "it was made by a smart card or TPM with the ROCA fault (CVE-2017-15361) and can be broken; generate another \
         elsewhere"
    )]
    Roca,
}

/// Checks a DER `SubjectPublicKeyInfo`: type, size, well-formedness, and known weaknesses.
///
/// # Errors
/// What is wrong with the key; the text continues "the public key is refused: ".
pub fn public_key_strength(spki_der: &[u8]) -> Result<(), WeakKey> {
    let spki = Spki::read(spki_der).map_err(|_| WeakKey::Malformed)?;
    match spki.algorithm.components().as_slice() {
        RSA_ENCRYPTION => {
            if spki.parameters.as_deref() != Some(NULL) {
                return Err(WeakKey::Malformed);
            }
            let (modulus, exponent) = rsa_numbers(&spki.key)?;
            rsa_key_strength(&modulus, &exponent)
        }
        EC_PUBLIC_KEY => elliptic(spki.parameters.as_deref().unwrap_or_default(), &spki.key),
        ED25519 => Err(WeakKey::Ed25519),
        _ => Err(WeakKey::Algorithm(spki.algorithm.to_string())),
    }
}

/// A `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), read strictly: what is accepted here comes out of an encoder again
/// octet by octet.
struct Spki {
    algorithm: ObjectIdentifier,
    parameters: Option<Vec<u8>>,
    key: Vec<u8>,
}

impl Spki {
    fn read(der: &[u8]) -> ASN1Result<Self> {
        yasna::parse_der(der, |reader| {
            reader.read_sequence(|spki| {
                let (algorithm, parameters) = algorithm_identifier(spki.next())?;
                let (key, bits) = spki.next().read_bitvec_bytes()?;
                if bits != key.len() * 8 {
                    return Err(yasna::ASN1Error::new(yasna::ASN1ErrorKind::Invalid));
                }
                Ok(Self {
                    algorithm,
                    parameters,
                    key,
                })
            })
        })
    }
}

/// Checks the numbers of an RSA public key, big-endian, as a JWK has them (RFC 7518 §6.3.1).
///
/// # Errors
/// What is wrong with the key.
pub fn rsa_key_strength(modulus: &[u8], exponent: &[u8]) -> Result<(), WeakKey> {
    let bits = BoxedUint::from_be_slice_vartime(modulus).bits_vartime();
    if !RSA_BITS.contains(&bits) || !bits.is_multiple_of(8) {
        return Err(WeakKey::RsaSize(bits));
    }
    if trim(exponent) != RSA_EXPONENT {
        return Err(WeakKey::RsaExponent);
    }
    match weak_key::find(modulus) {
        None => Ok(()),
        Some(Weakness::SmallFactor(prime)) => Err(WeakKey::SmallFactor(prime)),
        Some(Weakness::CloseFactors) => Err(WeakKey::CloseFactors),
        Some(Weakness::Roca) => Err(WeakKey::Roca),
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 §A.1.1), read strictly.
fn rsa_numbers(key: &[u8]) -> Result<(Vec<u8>, Vec<u8>), WeakKey> {
    let numbers = yasna::parse_der(key, |reader| {
        reader.read_sequence(|reader| {
            let modulus = reader.next().read_bigint_bytes()?;
            let exponent = reader.next().read_bigint_bytes()?;
            Ok((modulus, exponent))
        })
    });
    match numbers {
        Ok(((modulus, true), (exponent, true))) => Ok((modulus, exponent)),
        Ok(_) | Err(_) => Err(WeakKey::Malformed),
    }
}

fn elliptic(parameters: &[u8], point: &[u8]) -> Result<(), WeakKey> {
    let curve = yasna::parse_der(parameters, object_identifier)
        .map_err(|_| WeakKey::Curve("not named".to_owned()))?;
    match curve.components().as_slice() {
        P256 => on_curve(point, 32, &ECDSA_P256_SHA256_ASN1),
        P384 => on_curve(point, 48, &ECDSA_P384_SHA384_ASN1),
        _ => Err(WeakKey::Curve(curve.to_string())),
    }
}

/// The point is uncompressed (RFC 5480 §2.2: 04, x, y), which excludes infinity, and satisfies the curve's equation.
fn on_curve(
    point: &[u8],
    coordinate: usize,
    algorithm: &'static EcdsaVerificationAlgorithm,
) -> Result<(), WeakKey> {
    if point.first() != Some(&4) || point.len() != 1 + 2 * coordinate {
        return Err(WeakKey::PointForm);
    }
    match ParsedPublicKey::new(algorithm, point) {
        Ok(_) => Ok(()),
        Err(_) => Err(WeakKey::NotOnCurve),
    }
}

fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
#[path = "public_key_tests.rs"]
mod tests;
