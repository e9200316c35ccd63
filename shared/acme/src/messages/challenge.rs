//! Challenges (RFC 8555 §7.1.5, §8).

use certfleet_domain::{Challenge, ChallengeKind, ChallengeState, Timestamp};
use serde::{Deserialize, Serialize};

use super::timestamp;
use crate::problem::ProblemDocument;

/// How far a challenge is (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeStatus {
    /// The client has not said that it is ready.
    Pending,
    /// The validation is under way or queued.
    Processing,
    /// Proven.
    Valid,
    /// Not proven, for good.
    Invalid,
}

/// A challenge. Of any type: a client picks what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeResponse {
    /// The type, such as `http-01`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its own URL.
    pub url: String,
    /// How far it is.
    pub status: ChallengeStatus,
    /// When it was proven.
    #[serde(
        default,
        with = "timestamp::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub validated: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ProblemDocument>,
    /// What the proof has to contain; all of our types have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl ChallengeResponse {
    /// The challenge under its URL.
    pub fn new(challenge: &Challenge, url: String) -> Self {
        let (status, validated, error) = match &challenge.state {
            ChallengeState::Pending => (ChallengeStatus::Pending, None, None),
            ChallengeState::Processing => (ChallengeStatus::Processing, None, None),
            ChallengeState::Valid { validated_at } => {
                (ChallengeStatus::Valid, Some(*validated_at), None)
            }
            ChallengeState::Invalid { error } => (
                ChallengeStatus::Invalid,
                None,
                Some(ProblemDocument::from(error)),
            ),
        };
        Self {
            kind: challenge.kind.name().to_owned(),
            url,
            status,
            validated,
            error,
            token: Some(challenge.token.as_str().to_owned()),
        }
    }

    /// The type, if it is one we know.
    pub fn known_kind(&self) -> Option<ChallengeKind> {
        [
            ChallengeKind::Http01,
            ChallengeKind::Dns01,
            ChallengeKind::TlsAlpn01,
        ]
        .into_iter()
        .find(|kind| kind.name() == self.kind)
    }
}
