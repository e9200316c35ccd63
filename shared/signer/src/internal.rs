//! A private key in memory.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use certfleet_pki::{SignatureAlgorithm, Signer, SignerError, WeakKey, public_key_strength};
use zeroize::Zeroizing;

use crate::algorithm::KeyAlgorithm;

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The library could not make or encode a key.
    #[error("the cryptographic library failed to make the key")]
    Library,
    /// Not PEM with exactly one private key.
    #[error("it is not PEM with exactly one private key: {0}")]
    NotPem(&'static str),
    /// An encrypted key.
    #[error("the private key is encrypted; decrypt it first, with openssl pkey -in KEY -out PLAIN")]
    Encrypted,
    /// Not a private key of a kind that is supported.
    #[error(
        "it is not a private key for ECDSA on P-256 or P-384, or RSA of 2048 to 4096 bits (PKCS#8, SEC1 or PKCS#1)"
    )]
    Unsupported,
    /// It is in a token, or is to be, and the token is in trouble, or has another.
    #[error("{0}")]
    Token(String),
    /// It is in a token, and nothing says how tokens are reached.
    #[error("the key is in a PKCS#11 token, and pkcs11.module is not given")]
    NoModule,
    /// The public half is not acceptable.
    #[error("the key is refused: {0}")]
    Weak(#[from] WeakKey),
}

/// A private key in memory. Has no `Debug` and no serialized form but [`InternalKey::to_pkcs8_der`]; the library wipes
/// its copy when the key is dropped.
pub struct InternalKey(Pair);

enum Pair {
    Ecdsa(SignatureAlgorithm, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl InternalKey {
    /// Makes a new key, with the library's own random numbers: it takes no others.
    ///
    /// RSA takes from a tenth of a second to some seconds: call it where blocking is allowed.
    ///
    /// # Errors
    /// The library failed.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            KeyAlgorithm::EcdsaP256 => generate_ecdsa(SignatureAlgorithm::EcdsaP256Sha256)?,
            KeyAlgorithm::EcdsaP384 => generate_ecdsa(SignatureAlgorithm::EcdsaP384Sha384)?,
            KeyAlgorithm::Rsa2048 => generate_rsa(KeySize::Rsa2048)?,
            KeyAlgorithm::Rsa3072 => generate_rsa(KeySize::Rsa3072)?,
            KeyAlgorithm::Rsa4096 => generate_rsa(KeySize::Rsa4096)?,
        };
        Ok(Self(pair))
    }

    /// Reads a key from PKCS#8 (RFC 5958), as [`Self::to_pkcs8_der`] writes it.
    ///
    /// # Errors
    /// Not a key, or not one that is accepted.
    pub fn from_pkcs8_der(der: &Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let ecdsa = |algorithm| {
            EcdsaKeyPair::from_pkcs8(ecdsa_signing(algorithm)?, der)
                .ok()
                .map(|pair| Pair::Ecdsa(algorithm, pair))
        };
        ecdsa(SignatureAlgorithm::EcdsaP256Sha256)
            .or_else(|| ecdsa(SignatureAlgorithm::EcdsaP384Sha384))
            .or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(Pair::Rsa))
            .ok_or(KeyError::Unsupported)
            .and_then(Self::checked)
    }

    /// Reads a key from PEM: `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC1, RFC 5915) or `RSA PRIVATE KEY` (PKCS#1).
    /// Blocks of other kinds, such as `EC PARAMETERS` and `CERTIFICATE`, are passed over.
    ///
    /// # Errors
    /// Not exactly one key, an encrypted one, or one that is not accepted.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let blocks =
            pem::parse_many(text).map_err(|_| KeyError::NotPem("the text does not parse"))?;
        let mut keys = blocks
            .into_iter()
            .filter(|block| block.tag().ends_with("PRIVATE KEY"));
        let key = keys
            .next()
            .ok_or(KeyError::NotPem("there is none in the text"))?;
        let others = keys.count();
        let encrypted = key.headers().iter().any(|(name, _)| name == "DEK-Info");
        let label = key.tag().to_owned();
        let der = Zeroizing::new(key.into_contents());
        if others > 0 {
            return Err(KeyError::NotPem("there is more than one in the text"));
        }
        match label.as_str() {
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            _ if encrypted => Err(KeyError::Encrypted),
            "PRIVATE KEY" => Self::from_pkcs8_der(&der),
            "EC PRIVATE KEY" => Self::from_sec1_der(&der),
            "RSA PRIVATE KEY" => {
                let pair = RsaKeyPair::from_der(&der).map_err(|_| KeyError::Unsupported)?;
                Self::checked(Pair::Rsa(pair))
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    fn from_sec1_der(der: &Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let ecdsa = |algorithm| {
            EcdsaKeyPair::from_private_key_der(ecdsa_signing(algorithm)?, der)
                .ok()
                .map(|pair| Pair::Ecdsa(algorithm, pair))
        };
        ecdsa(SignatureAlgorithm::EcdsaP256Sha256)
            .or_else(|| ecdsa(SignatureAlgorithm::EcdsaP384Sha384))
            .ok_or(KeyError::Unsupported)
            .and_then(Self::checked)
    }

    /// The key as PKCS#8 (RFC 5958), to be sealed.
    ///
    /// # Errors
    /// The library failed.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &self.0 {
            Pair::Ecdsa(_, pair) => {
                let document = pair.to_pkcs8v1().map_err(|_| KeyError::Library)?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
            Pair::Rsa(pair) => {
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Library)?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
        }
    }

    /// The same as PEM.
    ///
    /// # Errors
    /// The library failed.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der = self.to_pkcs8_der()?;
        Ok(Zeroizing::new(pem::encode(&pem::Pem::new(
            "PRIVATE KEY",
            der.as_slice(),
        ))))
    }

    fn checked(pair: Pair) -> Result<Self, KeyError> {
        let key = Self(pair);
        public_key_strength(&key.spki_der())?;
        Ok(key)
    }
}

/// The library's name for how an ECDSA key signs.
fn ecdsa_signing(algorithm: SignatureAlgorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
        SignatureAlgorithm::EcdsaP384Sha384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
        SignatureAlgorithm::RsaPkcs1Sha256 => None,
    }
}

fn generate_ecdsa(algorithm: SignatureAlgorithm) -> Result<Pair, KeyError> {
    ecdsa_signing(algorithm)
        .and_then(|signing| EcdsaKeyPair::generate(signing).ok())
        .map(|pair| Pair::Ecdsa(algorithm, pair))
        .ok_or(KeyError::Library)
}

fn generate_rsa(size: KeySize) -> Result<Pair, KeyError> {
    RsaKeyPair::generate(size)
        .map(Pair::Rsa)
        .map_err(|_| KeyError::Library)
}

impl Signer for InternalKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        match &self.0 {
            Pair::Ecdsa(algorithm, _) => *algorithm,
            Pair::Rsa(_) => SignatureAlgorithm::RsaPkcs1Sha256,
        }
    }

    fn public_key(&self) -> &[u8] {
        match &self.0 {
            Pair::Ecdsa(_, pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let failed = |_| SignerError::Refused("the cryptographic library failed".to_owned());
        let random = SystemRandom::new();
        match &self.0 {
            Pair::Ecdsa(_, pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey, VerificationAlgorithm,
    };

    use super::*;

    fn verification(algorithm: SignatureAlgorithm) -> &'static dyn VerificationAlgorithm {
        match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
            SignatureAlgorithm::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }

    #[test]
    fn every_kind_of_key_is_made_kept_and_signs() {
        for kind in KeyAlgorithm::ALL {
            let made = InternalKey::generate(kind).unwrap();
            let kept = InternalKey::from_pkcs8_der(&made.to_pkcs8_der().unwrap()).unwrap();
            assert_eq!(made.spki_der(), kept.spki_der(), "{kind}");
            assert_eq!(made.algorithm(), kept.algorithm(), "{kind}");
            let signature = kept.sign(b"message").unwrap();
            let public = UnparsedPublicKey::new(verification(made.algorithm()), made.public_key());
            assert!(public.verify(b"message", &signature).is_ok(), "{kind}");
            assert!(public.verify(b"another", &signature).is_err(), "{kind}");
        }
    }

    #[test]
    fn octets_that_are_no_key_are_refused() {
        let good = InternalKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let good = good.to_pkcs8_der().unwrap();
        for bad in [&b""[..], b"x", &good[1..], &good[..good.len() - 1]] {
            let bad = Zeroizing::new(bad.to_vec());
            let error = InternalKey::from_pkcs8_der(&bad).err();
            assert_eq!(error, Some(KeyError::Unsupported));
        }
    }
}
