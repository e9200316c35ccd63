//! A certificate, from the moment it is intended (RFC 5280).

use std::fmt;
use std::str::FromStr;

use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::ids::{AccountId, CertificateId, IssuerId, OrderId};
use crate::names::{AuthorityName, ProfileName};
use crate::transition::InvalidTransition;

/// A serial number: 128 random bits behind a first byte that keeps it positive and of constant length, 17 octets
/// in all (RFC 5280 §4.1.2.2 allows 20). Text form: lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial([u8; 17]);

impl Serial {
    /// A new serial number.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        let mut octets = [0x01; 17];
        rng.fill_bytes(&mut octets[1..]);
        Self(octets)
    }

    /// With this first random octet, and all others alike.
    pub(crate) fn filled(first: u8, others: u8) -> Self {
        let mut octets = [others; 17];
        octets[0] = 0x01;
        octets[1] = first;
        Self(octets)
    }

    /// The integer's octets, big-endian.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The serial number of these octets, if it is one of ours.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let octets: [u8; 17] = octets.try_into().ok()?;
        (octets[0] == 0x01).then_some(Self(octets))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Text that is not one of our serial numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a serial number of ours: 34 hexadecimal digits that begin with 01 are due")]
pub struct InvalidSerial;

impl FromStr for Serial {
    type Err = InvalidSerial;

    fn from_str(text: &str) -> Result<Self, InvalidSerial> {
        if text.len() != 34 || !text.is_ascii() {
            return Err(InvalidSerial);
        }
        let mut octets = [0; 17];
        for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidSerial)?;
            *octet = u8::from_str_radix(digits, 16).map_err(|_| InvalidSerial)?;
        }
        Self::from_octets(&octets).ok_or(InvalidSerial)
    }
}

impl TryFrom<String> for Serial {
    type Error = InvalidSerial;

    fn try_from(text: String) -> Result<Self, InvalidSerial> {
        text.parse()
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.to_string()
    }
}

/// Why a certificate is revoked (RFC 5280 §5.3.1), as far as clients may say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationReason {
    /// 0: no reason given.
    Unspecified,
    /// 1: the key is known to others.
    KeyCompromise,
    /// 3: the subject's affiliation changed.
    AffiliationChanged,
    /// 4: replaced by another.
    Superseded,
    /// 5: no longer needed.
    CessationOfOperation,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The reason of this `CRLReason` code, if clients may give it.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The `CRLReason` code.
    pub fn code(self) -> i64 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }

    /// The name, as RFC 5280 §5.3.1 has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
        }
    }
}

/// A certificate that is revoked, as relying parties are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Its serial number.
    pub serial: Serial,
    /// When it was revoked.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// How far a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateState {
    /// Written down before it is signed, so that a crash leaves a record.
    Intended {
        /// The request to be signed, DER.
        csr: Vec<u8>,
    },
    /// Signed.
    Issued {
        /// The certificate, DER.
        der: Vec<u8>,
    },
    /// Signed and revoked.
    Revoked {
        /// The certificate, DER.
        der: Vec<u8>,
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
}

/// What a certificate came of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateOrigin {
    /// An ACME order. Unique: one order, one certificate.
    Order {
        /// Who ordered.
        account: AccountId,
        /// The order.
        order: OrderId,
    },
    /// certfleet itself: the certificate its API shows.
    Service,
}

/// A certificate of one of our authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its id.
    pub id: CertificateId,
    /// Its serial number, fixed when it is intended.
    pub serial: Serial,
    /// The authority.
    pub authority: AuthorityName,
    /// The key that signs it.
    pub issuer: IssuerId,
    /// What it came of.
    pub origin: CertificateOrigin,
    /// The names in it.
    pub identifiers: Vec<Identifier>,
    /// What kind of certificate.
    pub profile: ProfileName,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity (the last second included, RFC 5280 §4.1.2.5).
    pub not_after: Timestamp,
    /// The order whose certificate replaces this one (RFC 9773 §5). At most one ever does.
    pub replaced_by: Option<OrderId>,
    /// When it was intended.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: CertificateState,
    /// Grows by one with each write.
    pub version: i64,
}

impl Certificate {
    /// The signed certificate, if there is one.
    pub fn der(&self) -> Option<&[u8]> {
        match &self.state {
            CertificateState::Intended { .. } => None,
            CertificateState::Issued { der } | CertificateState::Revoked { der, .. } => Some(der),
        }
    }

    /// The signature is there.
    pub fn issue(self, der: Vec<u8>) -> Result<Self, InvalidTransition> {
        match self.state {
            CertificateState::Intended { .. } => Ok(Self {
                state: CertificateState::Issued { der },
                ..self
            }),
            CertificateState::Issued { .. } | CertificateState::Revoked { .. } => {
                Err(self.refuse("issued"))
            }
        }
    }

    /// The certificate counts no more.
    pub fn revoke(
        self,
        at: Timestamp,
        reason: RevocationReason,
    ) -> Result<Self, InvalidTransition> {
        match self.state {
            CertificateState::Issued { der } => Ok(Self {
                state: CertificateState::Revoked { der, at, reason },
                ..self
            }),
            CertificateState::Intended { .. } | CertificateState::Revoked { .. } => {
                Err(self.refuse("revoked"))
            }
        }
    }

    /// Another certificate takes this one's place.
    pub fn replace(self, by: OrderId) -> Result<Self, InvalidTransition> {
        match (&self.state, self.replaced_by) {
            (CertificateState::Issued { .. } | CertificateState::Revoked { .. }, None) => {
                Ok(Self {
                    replaced_by: Some(by),
                    ..self
                })
            }
            (CertificateState::Intended { .. }, _) | (_, Some(_)) => Err(self.refuse("replaced")),
        }
    }

    fn refuse(&self, step: &'static str) -> InvalidTransition {
        let state = match self.state {
            CertificateState::Intended { .. } => "intended",
            CertificateState::Issued { .. } => "issued",
            CertificateState::Revoked { .. } => "revoked",
        };
        InvalidTransition {
            entity: "certificate",
            id: self.id.to_string(),
            state,
            step,
        }
    }
}
