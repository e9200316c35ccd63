//! One key in a token.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use certfleet_domain::Pkcs11Uri;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use crate::access::TokenAccess;
use crate::error::TokenError;
use crate::module::{CallError, Failed, Module, Turn, Unclear};

/// The tag of AES-GCM, in bits.
const TAG_BITS: u64 = 128;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// An AES key, which encrypts.
    Secret,
    /// The private half of a pair, which signs.
    Private,
}

/// A key in a token.
pub struct TokenKey {
    module: Arc<Module>,
    access: TokenAccess,
    uri: Pkcs11Uri,
    kind: KeyKind,
    /// Where it was found, in which turn of the module.
    found: Mutex<Option<(Turn, ObjectHandle)>>,
}

/// The public half of a pair, as the token gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicHalf {
    /// `CKA_EC_PARAMS` and `CKA_EC_POINT`, both DER.
    Ec {
        /// The curve's OBJECT IDENTIFIER.
        curve: Vec<u8>,
        /// An OCTET STRING that holds the point.
        point: Vec<u8>,
    },
    /// `CKA_MODULUS` and `CKA_PUBLIC_EXPONENT`, big endian.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The exponent.
        exponent: Vec<u8>,
    },
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({})", self.uri)
    }
}

impl TokenKey {
    pub(crate) fn new(
        module: Arc<Module>,
        access: TokenAccess,
        uri: Pkcs11Uri,
        kind: KeyKind,
    ) -> Self {
        Self {
            module,
            access,
            uri,
            kind,
            found: Mutex::default(),
        }
    }

    /// Which it is.
    pub fn uri(&self) -> &Pkcs11Uri {
        &self.uri
    }

    /// AES-256-GCM; the answer ends with the tag of 128 bits.
    ///
    /// # Errors
    /// The token is away, or refuses.
    pub fn encrypt(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        self.gcm(Unclear::IsLost, nonce, aad, |session, mechanism, key| {
            session.encrypt(mechanism, key, plain)
        })
        .map_err(Failed::if_clear)
    }

    /// The inverse of [`Self::encrypt`].
    ///
    /// # Errors
    /// [`TokenError::Refused`] if this was not encrypted with this key, nonce and associated data; tokens say so with codes
    /// that can mean anything, so that they are asked for something else then, too.
    pub fn decrypt(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        encrypted: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let open = || {
            self.gcm(
                Unclear::MayBeRefusal,
                nonce,
                aad,
                |session, mechanism, key| session.decrypt(mechanism, key, encrypted),
            )
        };
        match open() {
            Err(Failed::Unclear(_)) => {}
            clear => return clear.map_err(Failed::if_clear),
        }
        // If this works, it was not the token, or it is there again.
        self.encrypt([0; 12], b"certfleet: does the token answer?", &[0; 32])?;
        match open() {
            Err(Failed::Unclear(why)) => Err(TokenError::Refused(why)),
            clear => clear.map_err(Failed::if_clear),
        }
    }

    fn gcm(
        &self,
        unclear: Unclear,
        nonce: [u8; 12],
        aad: &[u8],
        act: impl Fn(&Session, &Mechanism<'_>, ObjectHandle) -> cryptoki::error::Result<Vec<u8>>,
    ) -> Result<Vec<u8>, Failed> {
        self.call(unclear, |session, key| {
            let mut nonce = nonce;
            let parameters = GcmParams::new(&mut nonce, aad, TAG_BITS.into())?;
            Ok(act(session, &Mechanism::AesGcm(parameters), key)?)
        })
    }

    /// ECDSA over a digest: r and s, one after the other.
    ///
    /// # Errors
    /// The token is away, or refuses.
    pub fn sign_ecdsa(&self, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.sign(&Mechanism::Ecdsa, digest)
    }

    /// RSASSA-PKCS1-v1_5 over SHA-256 of a message.
    ///
    /// # Errors
    /// The token is away, or refuses.
    pub fn sign_rsa_sha256(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.sign(&Mechanism::Sha256RsaPkcs, message)
    }

    fn sign(&self, mechanism: &Mechanism<'_>, data: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.call(Unclear::IsLost, |session, key| {
            Ok(session.sign(mechanism, key, data)?)
        })
        .map_err(Failed::if_clear)
    }

    /// The public half of the pair.
    ///
    /// # Errors
    /// The token is away, or has no such public key.
    pub fn public_half(&self) -> Result<PublicHalf, TokenError> {
        self.module
            .call(
                &self.access,
                self.uri.token(),
                Unclear::IsLost,
                |session, _| {
                    let key = self.find_one(session, &self.template(ObjectClass::PUBLIC_KEY))?;
                    read_public(session, key)
                },
            )
            .map_err(Failed::if_clear)
    }

    fn call<T>(
        &self,
        unclear: Unclear,
        act: impl Fn(&Session, ObjectHandle) -> Result<T, CallError>,
    ) -> Result<T, Failed> {
        self.module
            .call(&self.access, self.uri.token(), unclear, |session, turn| {
                let key = self.find(session, turn)?;
                let done = act(session, key);
                if done.is_err() {
                    // It may have been put anew, under another handle.
                    self.found
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                }
                done
            })
    }

    fn find(&self, session: &Session, turn: Turn) -> Result<ObjectHandle, CallError> {
        let known = *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = known.filter(|(known, _)| *known == turn) {
            return Ok(key);
        }
        let key = self.find_one(session, &self.template(self.class()))?;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((turn, key));
        Ok(key)
    }

    fn class(&self) -> ObjectClass {
        match self.kind {
            KeyKind::Secret => ObjectClass::SECRET_KEY,
            KeyKind::Private => ObjectClass::PRIVATE_KEY,
        }
    }

    pub(crate) fn template(&self, class: ObjectClass) -> Vec<Attribute> {
        let mut template = vec![
            Attribute::Class(class),
            Attribute::Label(self.uri.object().as_bytes().to_vec()),
        ];
        if let Some(id) = self.uri.id() {
            template.push(Attribute::Id(id.to_vec()));
        }
        if class == ObjectClass::SECRET_KEY {
            template.push(Attribute::KeyType(KeyType::AES));
        }
        template
    }

    fn find_one(
        &self,
        session: &Session,
        template: &[Attribute],
    ) -> Result<ObjectHandle, CallError> {
        match session.find_objects(template)?.as_slice() {
            [key] => Ok(*key),
            [] => Err(CallError::Missing(format!(
                "it has no key labelled {}",
                self.uri.object()
            ))),
            several => Err(CallError::Token(TokenError::Refused(format!(
                "token {}: {} keys are labelled {}: say which by ;id=",
                self.uri.token(),
                several.len(),
                self.uri.object()
            )))),
        }
    }
}

fn read_public(session: &Session, key: ObjectHandle) -> Result<PublicHalf, CallError> {
    let wanted = [
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
    ];
    let (mut curve, mut point, mut modulus, mut exponent) = (None, None, None, None);
    for attribute in session.get_attributes(key, &wanted)? {
        match attribute {
            Attribute::EcParams(octets) => curve = Some(octets),
            Attribute::EcPoint(octets) => point = Some(octets),
            Attribute::Modulus(octets) => modulus = Some(octets),
            Attribute::PublicExponent(octets) => exponent = Some(octets),
            _ => {}
        }
    }
    match (curve, point, modulus, exponent) {
        (Some(curve), Some(point), ..) => Ok(PublicHalf::Ec { curve, point }),
        (_, _, Some(modulus), Some(exponent)) => Ok(PublicHalf::Rsa { modulus, exponent }),
        _ => Err(CallError::Token(TokenError::Refused(
            "the key is neither an elliptic curve's nor RSA's".to_owned(),
        ))),
    }
}
