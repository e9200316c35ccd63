//! The client's side of a request: a key pair that signs flattened JWSs.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::jwk::{InvalidJwk, PublicKey};
use crate::jws::KeyReference;

/// The cryptographic library could not make a key or a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library failed to {0}")]
pub struct SigningFailed(&'static str);

impl From<InvalidJwk> for SigningFailed {
    fn from(_: InvalidJwk) -> Self {
        Self("give the public key of a pair")
    }
}

/// A key pair of a client. Its chance comes from the cryptographic library, which takes no other.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new key pair for this algorithm; 2048 bits for RSA.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningFailed> {
        let failed = |_| SigningFailed("make a key pair");
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Ecdsa(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?,
            ),
            Algorithm::Es384 => Pair::Ecdsa(
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?,
            ),
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
        };
        Self::of(pair, algorithm)
    }

    /// The key pair of a PKCS#8 document in DER (RFC 5958), made elsewhere for this algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, SigningFailed> {
        let failed = |_| SigningFailed("read a PKCS#8 key pair for this algorithm");
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Ecdsa(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(failed)?,
            ),
            Algorithm::Es384 => Pair::Ecdsa(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der).map_err(failed)?,
            ),
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(failed)?),
            Algorithm::Rs256 => Pair::Rsa(rsa_with_usual_exponent(
                RsaKeyPair::from_pkcs8(der).map_err(failed)?,
            )?),
        };
        Self::of(pair, algorithm)
    }

    fn of(pair: Pair, algorithm: Algorithm) -> Result<Self, SigningFailed> {
        let public = PublicKey::from_jwk(&pair.jwk(algorithm))?;
        Ok(Self { pair, public })
    }

    /// A new P-256 key pair.
    pub fn generate_p256() -> Result<Self, SigningFailed> {
        Self::generate(Algorithm::Es256)
    }

    /// Its public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// How requests refer to the key before there is an account.
    pub fn jwk(&self) -> KeyReference {
        KeyReference::Jwk(self.public.clone())
    }

    /// The body of a request (RFC 8555 §6.2). An empty payload makes it POST-as-GET (§6.3); only the inner JWS of a
    /// key rollover has no nonce (§7.3.5).
    pub fn sign_request(
        &self,
        key: &KeyReference,
        nonce: Option<&str>,
        url: &str,
        payload: &[u8],
    ) -> Result<String, SigningFailed> {
        let mut protected = json!({ "alg": self.public.kind().algorithm().name(), "url": url });
        match key {
            KeyReference::Jwk(key) => protected["jwk"] = key.to_jwk(),
            KeyReference::Kid(kid) => protected["kid"] = kid.as_str().into(),
        }
        if let Some(nonce) = nonce {
            protected["nonce"] = nonce.into();
        }
        self.sign_flattened(&protected.to_string(), payload)
    }

    /// A flattened JWS (RFC 7515 §7.2.2) with just this protected header.
    pub fn sign_flattened(&self, protected: &str, payload: &[u8]) -> Result<String, SigningFailed> {
        let protected = base64url::encode(protected);
        let payload = base64url::encode(payload);
        let signature = self
            .pair
            .sign(format!("{protected}.{payload}").as_bytes())?;
        let signature = base64url::encode(signature);
        Ok(
            json!({ "protected": protected, "payload": payload, "signature": signature })
                .to_string(),
        )
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(for {:?})", self.public)
    }
}

/// INTEGER 65537 in DER.
const RSA_EXPONENT: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// The pair, if its exponent is the only one that accounts may have.
fn rsa_with_usual_exponent(pair: RsaKeyPair) -> Result<RsaKeyPair, SigningFailed> {
    if pair.public_key().as_ref().ends_with(&RSA_EXPONENT) {
        Ok(pair)
    } else {
        Err(SigningFailed(
            "use an RSA key with an exponent other than 65537",
        ))
    }
}

impl Pair {
    fn jwk(&self, algorithm: Algorithm) -> Value {
        match self {
            Self::Ecdsa(pair) => {
                let crv = if algorithm == Algorithm::Es384 {
                    "P-384"
                } else {
                    "P-256"
                };
                // SEC 1 §2.3.3: 0x04, x, y.
                let coordinates = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                json!({
                    "kty": "EC", "crv": crv, "x": base64url::encode(x), "y": base64url::encode(y)
                })
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(pair.public_key()) })
            }
            Self::Rsa(pair) => {
                // RFC 8017 §A.1.1 in DER: the modulus is followed by the exponent.
                let der = pair.public_key().as_ref();
                let end = der.len().saturating_sub(RSA_EXPONENT.len());
                let start = end.saturating_sub(pair.public_modulus_len());
                let modulus = der.get(start..end).unwrap_or_default();
                json!({ "kty": "RSA", "e": "AQAB", "n": base64url::encode(modulus) })
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let failed = |_| SigningFailed("sign");
        // The library's own generator: it ignores the argument.
        let rng = SystemRandom::new();
        match self {
            Self::Ecdsa(pair) => {
                let signature = pair.sign(&rng, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Ed25519(pair) => {
                let signature = pair.try_sign(message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};

    use super::*;
    use crate::jws::Jws;

    fn verifies(key: &SigningKey) -> bool {
        let body = key
            .sign_request(&key.jwk(), Some("AAAA"), "https://ca.example/", b"{}")
            .unwrap();
        let jws = Jws::parse(body.as_bytes()).unwrap();
        jws.verify(key.public()).is_ok()
    }

    #[test]
    fn a_key_made_elsewhere_signs_as_one_made_here() {
        let ec = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let ec = ec.to_pkcs8v1().unwrap();
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let rsa: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        let ed = Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
        for (algorithm, der) in [
            (Algorithm::Es384, ec.as_ref()),
            (Algorithm::Rs256, rsa.as_ref()),
            (Algorithm::EdDsa, ed.as_ref()),
        ] {
            let key = SigningKey::from_pkcs8(algorithm, der).unwrap();
            assert!(verifies(&key), "{algorithm}");
        }
        for der in [ec.as_ref(), b"", &rsa.as_ref()[..100]] {
            assert!(SigningKey::from_pkcs8(Algorithm::Es256, der).is_err());
        }
    }
}
