//! A private key that stays in a PKCS#11 token.

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use certfleet_pkcs11::{PublicHalf, TokenError, TokenKey};
use certfleet_pki::{SignatureAlgorithm, SignerError};

use crate::der;
use crate::internal::KeyError;

/// OBJECT IDENTIFIERs of curves, DER (RFC 5480 §2.1.1.1).
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// How the key signs, and its public half as a BIT STRING holds it.
///
/// # Errors
/// The token is away, or the key is of a kind that is not supported.
pub(crate) fn public_half(key: &TokenKey) -> Result<(SignatureAlgorithm, Vec<u8>), KeyError> {
    let half = key
        .public_half()
        .map_err(|error| KeyError::Token(error.to_string()))?;
    match half {
        PublicHalf::Ec { curve, point } => {
            let algorithm = match curve.as_slice() {
                curve if curve == P256 => SignatureAlgorithm::EcdsaP256Sha256,
                curve if curve == P384 => SignatureAlgorithm::EcdsaP384Sha384,
                _ => return Err(KeyError::Unsupported),
            };
            // Some tokens leave the OCTET STRING out.
            let bare = [65, 97].contains(&point.len()).then(|| point.clone());
            let point = der::octet_string(&point).or(bare);
            Ok((algorithm, point.ok_or(KeyError::Unsupported)?))
        }
        PublicHalf::Rsa { modulus, exponent } => {
            let key = der::rsa_public_key(&modulus, &exponent);
            Ok((SignatureAlgorithm::RsaPkcs1Sha256, key))
        }
    }
}

/// Signs. ECDSA's message is hashed here, as every token can sign a digest; RSA's there.
pub(crate) fn sign(
    key: &TokenKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, SignerError> {
    let ecdsa = |hash| {
        let raw = key.sign_ecdsa(digest(hash, message).as_ref())?;
        der::ecdsa_signature(&raw).ok_or_else(|| {
            TokenError::Refused("the signature has an odd number of octets".to_owned())
        })
    };
    let signature = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => ecdsa(&SHA256),
        SignatureAlgorithm::EcdsaP384Sha384 => ecdsa(&SHA384),
        SignatureAlgorithm::RsaPkcs1Sha256 => key.sign_rsa_sha256(message),
    };
    signature.map_err(|error| match error {
        TokenError::Unavailable(why) => SignerError::Unavailable(why),
        TokenError::Refused(why) => SignerError::Refused(why),
    })
}
