//! A challenge: one way to prove control of an identifier (RFC 8555 §7.1.5, §8).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::ids::ChallengeId;
use crate::problem::Problem;
use crate::transition::InvalidTransition;

/// The ways to prove control that certfleet knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChallengeKind {
    /// A file under `/.well-known/acme-challenge/` (RFC 8555 §8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// A TXT record at `_acme-challenge` (RFC 8555 §8.4).
    #[serde(rename = "dns-01")]
    Dns01,
    /// A certificate shown to ALPN `acme-tls/1` (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl ChallengeKind {
    /// The name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }

    /// The kinds that can prove this identifier: a wildcard only by DNS (RFC 8555 §7.1.3), an address never by
    /// DNS (RFC 8738 §7).
    pub fn for_identifier(identifier: &Identifier) -> &'static [Self] {
        match identifier {
            Identifier::Dns(_) => &[Self::Http01, Self::Dns01, Self::TlsAlpn01],
            Identifier::Wildcard(_) => &[Self::Dns01],
            Identifier::Ip(_) => &[Self::Http01, Self::TlsAlpn01],
        }
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The token of a challenge: 256 random bits in base64url, 43 characters (RFC 8555 §8.1 asks for 128 bits).
///
/// It is the one encoding of these bits: clients such as certbot decode a token and encode it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// A new token.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        let mut random = [0; 32];
        rng.fill_bytes(&mut random);
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far a challenge is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum ChallengeState {
    /// The client has not said that it is ready.
    Pending,
    /// The client has said so; the validation is under way or queued.
    #[serde(rename_all = "camelCase")]
    Processing,
    /// Proven.
    #[serde(rename_all = "camelCase")]
    Valid {
        /// When it was proven.
        #[serde(with = "time::serde::rfc3339")]
        validated_at: Timestamp,
    },
    /// Not proven, for good.
    Invalid {
        /// Why.
        error: Problem,
    },
}

impl ChallengeState {
    /// The status in the protocol.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Valid { .. } => "valid",
            Self::Invalid { .. } => "invalid",
        }
    }
}

/// One way to prove control of an authorization's identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    /// Its id, unique on its own.
    pub id: ChallengeId,
    /// The way.
    pub kind: ChallengeKind,
    /// What the proof has to contain.
    pub token: Token,
    /// How far it is.
    pub state: ChallengeState,
}

impl Challenge {
    pub(crate) fn refuse(&self, step: &'static str) -> InvalidTransition {
        InvalidTransition {
            entity: "challenge",
            id: self.id.to_string(),
            state: self.state.name(),
            step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRng;

    #[test]
    fn a_token_survives_being_decoded_and_encoded() {
        for _ in 0..64 {
            let token = Token::generate(&mut SystemRng);
            // Strict: bits beyond the last byte have to be zero.
            let random = URL_SAFE_NO_PAD.decode(token.as_str()).unwrap();
            assert_eq!(random.len(), 32);
        }
    }
}
