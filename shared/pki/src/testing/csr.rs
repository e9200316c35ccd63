//! Requests by hand: each part can be made wrong, and the whole is signed all the same.

use certfleet_domain::Identifier;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag};

const SHA256_WITH_ECDSA: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];
pub(crate) const SHA1_WITH_ECDSA: &[u64] = &[1, 2, 840, 10045, 4, 1];
const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const EXTENSION_REQUEST: &[u64] = &[1, 2, 840, 113_549, 1, 9, 14];
const CHALLENGE_PASSWORD: &[u64] = &[1, 2, 840, 113_549, 1, 9, 7];
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];

/// One attribute of a request.
#[derive(Clone)]
pub(crate) enum Attribute {
    /// An extension request with these extensions, DER each.
    Extensions(Vec<Vec<u8>>),
    ChallengePassword,
}

/// A request with an ECDSA key of its own.
pub(crate) struct Request {
    key: KeyPair,
    pub(crate) version: u8,
    pub(crate) common_name: Option<String>,
    /// The universal tag of the common name: that of `UTF8String` at first.
    pub(crate) common_name_tag: u64,
    pub(crate) spki: Vec<u8>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) behind_attributes: Vec<u8>,
    pub(crate) signature_algorithm: &'static [u64],
    pub(crate) spoil_signature: bool,
    pub(crate) behind_signature: Vec<u8>,
}

impl Request {
    /// A good request for these general names, DER each.
    pub(crate) fn new(general_names: &[Vec<u8>]) -> Self {
        let key = KeyPair::generate().unwrap();
        let list = yasna::construct_der(|writer| {
            writer.write_sequence(|list| {
                for name in general_names {
                    list.next().write_der(name);
                }
            });
        });
        let attributes = if general_names.is_empty() {
            Vec::new()
        } else {
            vec![Attribute::Extensions(vec![extension(
                SUBJECT_ALT_NAME,
                &list,
            )])]
        };
        Self {
            spki: key.subject_public_key_info(),
            key,
            version: 0,
            common_name: None,
            common_name_tag: 12,
            attributes,
            behind_attributes: Vec::new(),
            signature_algorithm: SHA256_WITH_ECDSA,
            spoil_signature: false,
            behind_signature: Vec::new(),
        }
    }

    /// The signed request.
    pub(crate) fn der(&self) -> Vec<u8> {
        let info = yasna::construct_der(|writer| self.write_info(writer));
        let mut signature = self.key.sign(&info).unwrap();
        if self.spoil_signature {
            *signature.last_mut().unwrap() ^= 1;
        }
        yasna::construct_der(|writer| {
            writer.write_sequence(|request| {
                request.next().write_der(&info);
                request.next().write_sequence(|algorithm| {
                    algorithm.next().write_oid(&oid(self.signature_algorithm));
                });
                request
                    .next()
                    .write_bitvec_bytes(&signature, signature.len() * 8);
                if !self.behind_signature.is_empty() {
                    request.next().write_der(&self.behind_signature);
                }
            });
        })
    }

    fn write_info(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|info| {
            info.next().write_u8(self.version);
            info.next().write_sequence(|subject| {
                if let Some(name) = &self.common_name {
                    subject.next().write_set(|relative| {
                        relative.next().write_sequence(|attribute| {
                            attribute.next().write_oid(&oid(COMMON_NAME));
                            let tag = Tag {
                                tag_class: yasna::TagClass::Universal,
                                tag_number: self.common_name_tag,
                            };
                            attribute.next().write_tagged_implicit(tag, |writer| {
                                writer.write_bytes(name.as_bytes());
                            });
                        });
                    });
                }
            });
            info.next().write_der(&self.spki);
            info.next()
                .write_tagged_implicit(Tag::context(0), |writer| {
                    writer.write_sequence(|list| {
                        for attribute in &self.attributes {
                            write_attribute(list.next(), attribute);
                        }
                    });
                });
            if !self.behind_attributes.is_empty() {
                info.next().write_der(&self.behind_attributes);
            }
        });
    }
}

fn write_attribute(writer: DERWriter<'_>, attribute: &Attribute) {
    writer.write_sequence(|pair| match attribute {
        Attribute::Extensions(extensions) => {
            pair.next().write_oid(&oid(EXTENSION_REQUEST));
            pair.next().write_set(|values| {
                values.next().write_sequence(|list| {
                    for extension in extensions {
                        list.next().write_der(extension);
                    }
                });
            });
        }
        Attribute::ChallengePassword => {
            pair.next().write_oid(&oid(CHALLENGE_PASSWORD));
            pair.next()
                .write_set(|values| values.next().write_utf8_string("secret"));
        }
    });
}

/// An extension, DER.
pub(crate) fn extension(identifier: &[u64], value: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|extension| {
            extension.next().write_oid(&oid(identifier));
            extension.next().write_bytes(value);
        });
    })
}

/// A dNSName, DER.
pub(crate) fn name(text: &str) -> Vec<u8> {
    general_name(2, text.as_bytes())
}

/// An iPAddress, DER.
pub(crate) fn ip(octets: &[u8]) -> Vec<u8> {
    general_name(7, octets)
}

fn general_name(tag: u64, octets: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_tagged_implicit(Tag::context(tag), |writer| writer.write_bytes(octets));
    })
}

/// DNS identifiers.
pub(crate) fn names(names: &[&str]) -> Vec<Identifier> {
    names
        .iter()
        .map(|name| Identifier::dns(name).unwrap())
        .collect()
}

fn oid(components: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(components)
}
