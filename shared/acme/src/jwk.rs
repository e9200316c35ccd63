//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2), and what they can verify.
//!
//! Not jose-jwk's types: those read private members as part of a key, and hold coordinates as octets of any length,
//! so that each check would have to be made here all the same.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::base64url::{self, InvalidBase64Url};
use crate::json;

mod ed25519;
#[cfg(test)]
mod tests;

/// Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2, §6.4, RFC 8037 §2).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// 65537, the only exponent taken, as an unsigned integer without leading zeros.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// A JWK that cannot be an account's key, and why. Goes with `badPublicKey`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwk {
    /// It is not a JSON object without duplicate members.
    #[error("the JWK is not well-formed: {0}")]
    NotAnObject(String),
    /// It has members that nobody but its holder should ever see.
    #[error("the JWK has the private member {0:?}; this key is to be considered compromised")]
    Secret(&'static str),
    /// A kind of key that is not supported.
    #[error(
        "the key type {0:?} is not supported: EC P-256, EC P-384, OKP Ed25519 or RSA of 2048 to 4096 bits is due"
    )]
    UnsupportedType(String),
    /// A required member is missing or not text.
    #[error("the JWK's member {0:?} is missing or not a string")]
    Member(&'static str),
    /// A value is not base64url.
    #[error("the JWK's member {member:?} cannot be read: {source}")]
    Encoding {
        /// Its name.
        member: &'static str,
        /// What was wrong.
        source: InvalidBase64Url,
    },
    /// A coordinate has the wrong length; leading zeros belong to it (RFC 7518 §6.2.1.2).
    #[error("the JWK's member {member:?} has {given} octets where {due} are due")]
    Length {
        /// Its name.
        member: &'static str,
        /// How many it has.
        given: usize,
        /// How many it has to have.
        due: usize,
    },
    /// The coordinates are those of no usable point.
    #[error("the JWK's coordinates are not a usable point on {0}")]
    Point(&'static str),
    /// An RSA key of the wrong size.
    #[error("an RSA key of {0} bits is not accepted: 2048 to 4096 are due")]
    RsaSize(usize),
    /// An RSA exponent other than 65537.
    #[error("the RSA exponent is not accepted: 65537 (\"AQAB\") is due")]
    RsaExponent,
    /// An RSA modulus that is none.
    #[error("the RSA modulus is not an odd number without leading zeros (RFC 7518 §6.3.1.1)")]
    RsaModulus,
    /// `use` or `alg` say that the key is for something else.
    #[error("the JWK's member {0:?} says that the key is not for such signatures")]
    Purpose(&'static str),
    /// Text that should be canonical is a JWK, but another text.
    #[error("the JWK is not in canonical form (RFC 7638 §3)")]
    NotCanonical,
}

/// What kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Elliptic curve P-256.
    P256,
    /// Elliptic curve P-384.
    P384,
    /// Edwards curve 25519.
    Ed25519,
    /// RSA.
    Rsa,
}

impl KeyKind {
    /// The one algorithm that keys of this kind sign with.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::Ed25519 => Algorithm::EdDsa,
            Self::Rsa => Algorithm::Rs256,
        }
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "EC P-256",
            Self::P384 => "EC P-384",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        }
    }
}

/// A public key that an account may have. Two are equal if they are the same key.
///
/// It was checked as far as the JWK allows: the point is on its curve, the RSA modulus has its size. Whether an RSA
/// key is weak (shared or close primes, ROCA) is for the checks on its [SPKI](Self::spki_der).
#[derive(Clone)]
pub struct PublicKey {
    kind: KeyKind,
    canonical: String,
    spki: Box<[u8]>,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// The key of a JWK. Members without meaning here are ignored; anything odd about the others is refused.
    pub fn from_jwk(jwk: &Value) -> Result<Self, InvalidJwk> {
        let Value::Object(members) = jwk else {
            let why = "it is not a JSON object".to_owned();
            return Err(InvalidJwk::NotAnObject(why));
        };
        if let Some(name) = SECRET_MEMBERS
            .iter()
            .find(|name| members.contains_key(**name))
        {
            return Err(InvalidJwk::Secret(name));
        }
        let kind = kind_of(members)?;
        check_purpose(members, kind)?;
        match kind {
            KeyKind::P256 => ec_key(members, kind, "P-256", 32),
            KeyKind::P384 => ec_key(members, kind, "P-384", 48),
            KeyKind::Ed25519 => ed25519_key(members),
            KeyKind::Rsa => rsa_key(members),
        }
    }

    /// The key of a [canonical](Self::canonical) JWK, and of no other text: what is compared as text is one text.
    pub fn from_canonical(text: &str) -> Result<Self, InvalidJwk> {
        let jwk = json::parse(text.as_bytes()).map_err(InvalidJwk::NotAnObject)?;
        let key = Self::from_jwk(&jwk)?;
        if key.canonical == text {
            Ok(key)
        } else {
            Err(InvalidJwk::NotCanonical)
        }
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The JWK in canonical form (RFC 7638 §3): the required members, sorted, without white space.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The JWK, with its required members only.
    pub fn to_jwk(&self) -> Value {
        serde_json::from_str(&self.canonical).unwrap_or_default()
    }

    /// The JWK thumbprint with SHA-256 (RFC 7638), in base64url: 43 characters.
    pub fn thumbprint(&self) -> String {
        base64url::encode(digest(&SHA256, self.canonical.as_bytes()))
    }

    /// The key as a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), as certificates and CSRs have it.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Whether this DER `SubjectPublicKeyInfo`, of a CSR or certificate, is of the same key, be it encoded as
    /// [`spki_der`](Self::spki_der) does or otherwise.
    pub fn same_key_as_spki(&self, spki: &[u8]) -> bool {
        *self.spki == *spki
            || ParsedPublicKey::new(self.kind.algorithm().verification(), spki)
                .is_ok_and(|key| der_of(&key).as_ref() == Ok(&self.spki))
    }

    /// Whether `signature` is this key's over `message`. An algorithm for another kind of key never verifies.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        algorithm.key_kind() == self.kind && self.parsed.verify_sig(message, signature).is_ok()
    }

    fn new(kind: KeyKind, canonical: String, parsed: ParsedPublicKey) -> Result<Self, InvalidJwk> {
        Ok(Self {
            kind,
            canonical,
            spki: der_of(&parsed).map_err(|_| InvalidJwk::Point(kind.name()))?,
            parsed,
        })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.kind.name(), self.thumbprint())
    }
}

fn der_of(key: &ParsedPublicKey) -> Result<Box<[u8]>, Unspecified> {
    let der: PublicKeyX509Der<'_> = key.as_der()?;
    Ok(der.as_ref().into())
}

fn kind_of(members: &Map<String, Value>) -> Result<KeyKind, InvalidJwk> {
    let unsupported = |name: String| Err(InvalidJwk::UnsupportedType(json::excerpt(&name)));
    match text(members, "kty")? {
        "RSA" => Ok(KeyKind::Rsa),
        kty @ ("EC" | "OKP") => match (kty, text(members, "crv")?) {
            ("EC", "P-256") => Ok(KeyKind::P256),
            ("EC", "P-384") => Ok(KeyKind::P384),
            ("OKP", "Ed25519") => Ok(KeyKind::Ed25519),
            (_, crv) => unsupported(format!("{kty} {crv}")),
        },
        kty => unsupported(kty.to_owned()),
    }
}

/// What RFC 7517 §4.2 and §4.4 let a key say of itself must not contradict what it is used for.
fn check_purpose(members: &Map<String, Value>, kind: KeyKind) -> Result<(), InvalidJwk> {
    for (name, due) in [("use", "sig"), ("alg", kind.algorithm().name())] {
        if members.get(name).is_some_and(|given| given != due) {
            return Err(InvalidJwk::Purpose(name));
        }
    }
    Ok(())
}

fn ec_key(
    members: &Map<String, Value>,
    kind: KeyKind,
    crv: &'static str,
    length: usize,
) -> Result<PublicKey, InvalidJwk> {
    let (x, y) = (
        coordinate(members, "x", length)?,
        coordinate(members, "y", length)?,
    );
    // SEC 1 §2.3.3: an uncompressed point.
    let point = [&[0x04], &x[..], &y[..]].concat();
    let parsed = ParsedPublicKey::new(kind.algorithm().verification(), point)
        .map_err(|_| InvalidJwk::Point(crv))?;
    let (x, y) = (base64url::encode(x), base64url::encode(y));
    let canonical = format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#);
    PublicKey::new(kind, canonical, parsed)
}

fn ed25519_key(members: &Map<String, Value>) -> Result<PublicKey, InvalidJwk> {
    let x = coordinate(members, "x", 32)?;
    let refused = InvalidJwk::Point("Ed25519");
    if !ed25519::is_usable_point(&x) {
        return Err(refused);
    }
    let parsed = ParsedPublicKey::new(Algorithm::EdDsa.verification(), &x).map_err(|_| refused)?;
    let x = base64url::encode(x);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    PublicKey::new(KeyKind::Ed25519, canonical, parsed)
}

fn rsa_key(members: &Map<String, Value>) -> Result<PublicKey, InvalidJwk> {
    let (n, e) = (octets(members, "n")?, octets(members, "e")?);
    if e != RSA_EXPONENT {
        return Err(InvalidJwk::RsaExponent);
    }
    let (Some(first), Some(last)) = (n.first(), n.last()) else {
        return Err(InvalidJwk::RsaModulus);
    };
    if *first == 0 || last % 2 == 0 {
        return Err(InvalidJwk::RsaModulus);
    }
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if !(2048..=4096).contains(&bits) {
        return Err(InvalidJwk::RsaSize(bits));
    }
    let parsed = RsaPublicKeyComponents { n: &n, e: &e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| InvalidJwk::RsaModulus)?;
    let (n, e) = (base64url::encode(n), base64url::encode(e));
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    PublicKey::new(KeyKind::Rsa, canonical, parsed)
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, InvalidJwk> {
    members
        .get(name)
        .and_then(Value::as_str)
        .ok_or(InvalidJwk::Member(name))
}

fn octets(members: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, InvalidJwk> {
    base64url::decode(text(members, member)?)
        .map_err(|source| InvalidJwk::Encoding { member, source })
}

fn coordinate(
    members: &Map<String, Value>,
    member: &'static str,
    due: usize,
) -> Result<Vec<u8>, InvalidJwk> {
    let octets = octets(members, member)?;
    if octets.len() == due {
        Ok(octets)
    } else {
        let given = octets.len();
        Err(InvalidJwk::Length { member, given, due })
    }
}
