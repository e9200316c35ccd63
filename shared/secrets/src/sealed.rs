//! What is stored of a secret: one opaque string of bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 3 | `CFS` |
//! | 1 | format version, `1` |
//! | 1 | length of the KEK id, 1 to 64 |
//! | n | KEK id, ASCII |
//! | 2 | length of the wrapped data key, big endian |
//! | n | wrapped data key, as the KEK gave it (a local KEK: 12 nonce, 32 ciphertext, 16 tag) |
//! | 12 | nonce |
//! | 32 | commitment to the data key and the place |
//! | rest | ciphertext and its 16 byte tag |
//!
//! What the keys are made of is told in `envelope`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::kek::KekId;

pub(crate) const VERSION: u8 = 1;
pub(crate) const NONCE: usize = 12;
pub(crate) const COMMITMENT: usize = 32;
pub(crate) const TAG: usize = 16;

const MAGIC: &[u8; 3] = b"CFS";

/// A secret as it is stored. Serialises as bytes: in BSON, one binary value.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    bytes: Vec<u8>,
    kek: KekId,
}

/// Bytes that are not a sealed value, and where they stop being one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed value: {0}")]
pub struct MalformedSealed(&'static str);

/// The fields of a sealed value.
pub(crate) struct Parts<'a> {
    pub(crate) wrapped_key: &'a [u8],
    pub(crate) nonce: [u8; NONCE],
    pub(crate) commitment: [u8; COMMITMENT],
    pub(crate) ciphertext: &'a [u8],
}

impl Sealed {
    /// Takes stored bytes; their form is checked here, their content when they are opened.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MalformedSealed> {
        let (kek, _) = parse(&bytes)?;
        Ok(Self { bytes, kek })
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The KEK it needs to open.
    pub fn kek(&self) -> &KekId {
        &self.kek
    }

    /// The fields. The form was checked when the value was made.
    pub(crate) fn parts(&self) -> Result<Parts<'_>, MalformedSealed> {
        parse(&self.bytes).map(|(_, parts)| parts)
    }

    /// Puts the fields together. `None` if the wrapped key is too long for its length field.
    pub(crate) fn assemble(kek: &KekId, parts: &Parts<'_>) -> Option<Self> {
        let kek_length = u8::try_from(kek.as_str().len()).ok()?;
        let wrapped_length = u16::try_from(parts.wrapped_key.len()).ok()?;
        let mut bytes = Vec::with_capacity(
            7 + usize::from(kek_length)
                + usize::from(wrapped_length)
                + NONCE
                + COMMITMENT
                + parts.ciphertext.len(),
        );
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.push(kek_length);
        bytes.extend_from_slice(kek.as_str().as_bytes());
        bytes.extend_from_slice(&wrapped_length.to_be_bytes());
        bytes.extend_from_slice(parts.wrapped_key);
        bytes.extend_from_slice(&parts.nonce);
        bytes.extend_from_slice(&parts.commitment);
        bytes.extend_from_slice(parts.ciphertext);
        Some(Self {
            bytes,
            kek: kek.clone(),
        })
    }
}

fn parse(bytes: &[u8]) -> Result<(KekId, Parts<'_>), MalformedSealed> {
    let mut rest = bytes;
    if take(&mut rest, MAGIC.len())? != MAGIC {
        return Err(MalformedSealed("it does not begin with CFS"));
    }
    if take(&mut rest, 1)? != [VERSION] {
        return Err(MalformedSealed("its format version is unknown"));
    }
    let length = usize::from(take_array::<1>(&mut rest)?[0]);
    let kek = std::str::from_utf8(take(&mut rest, length)?)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(MalformedSealed("its KEK id is not one"))?;
    let length = usize::from(u16::from_be_bytes(take_array(&mut rest)?));
    let wrapped_key = take(&mut rest, length)?;
    let nonce = take_array(&mut rest)?;
    let commitment = take_array(&mut rest)?;
    if rest.len() < TAG {
        return Err(MalformedSealed("it is cut short"));
    }
    let parts = Parts {
        wrapped_key,
        nonce,
        commitment,
        ciphertext: rest,
    };
    Ok((kek, parts))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], MalformedSealed> {
    let (head, tail) = rest
        .split_at_checked(length)
        .ok_or(MalformedSealed("it is cut short"))?;
    *rest = tail;
    Ok(head)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], MalformedSealed> {
    let (head, tail) = rest
        .split_first_chunk()
        .ok_or(MalformedSealed("it is cut short"))?;
    *rest = tail;
    Ok(*head)
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes under {})", self.bytes.len(), self.kek)
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Sealed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a sealed value")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Sealed, E> {
        self.visit_byte_buf(bytes.to_vec())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Sealed, E> {
        Sealed::from_bytes(bytes).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sealed, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        self.visit_byte_buf(bytes)
    }
}
