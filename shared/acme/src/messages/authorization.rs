//! Authorizations (RFC 8555 §7.1.4, §7.4.1, §7.5).

use certfleet_domain::{
    Authorization, AuthorizationStatus, Challenge, ChallengeId, ChallengeState, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{ChallengeResponse, DEACTIVATED, Identifier, timestamp};

/// The payload of newAuthz (§7.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuthorization {
    /// What to authorize. A wildcard is not for the server to accept here.
    pub identifier: Identifier,
}

/// The payload of a POST to an authorization's URL (§7.5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationUpdate {
    /// Only `deactivated` has a meaning.
    pub status: String,
}

impl AuthorizationUpdate {
    /// The update that gives the authorization up.
    pub fn deactivation() -> Self {
        Self {
            status: DEACTIVATED.to_owned(),
        }
    }

    /// Whether it gives the authorization up.
    pub fn is_deactivation(&self) -> bool {
        self.status == DEACTIVATED
    }
}

/// An authorization (§7.1.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationResponse {
    /// What it is about; of a wildcard the base name.
    pub identifier: Identifier,
    /// How far it is.
    #[serde(with = "WireStatus")]
    pub status: AuthorizationStatus,
    /// When it stops to count.
    #[serde(
        default,
        with = "timestamp::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Timestamp>,
    /// While it is pending, the ways to prove it; after that, the one that decided.
    #[serde(default)]
    pub challenges: Vec<ChallengeResponse>,
    /// Whether it is for the wildcard of the identifier; only ever absent or true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard: Option<bool>,
}

impl AuthorizationResponse {
    /// The authorization at this moment, with the URLs of its challenges.
    pub fn new(
        authorization: &Authorization,
        now: Timestamp,
        challenge_url: impl Fn(ChallengeId) -> String,
    ) -> Self {
        let challenges = shown(&authorization.challenges)
            .map(|challenge| ChallengeResponse::new(challenge, challenge_url(challenge.id)))
            .collect();
        Self {
            identifier: Identifier::in_authorization(&authorization.identifier),
            status: authorization.status(now),
            expires: Some(authorization.expires_at),
            challenges,
            wildcard: authorization.identifier.is_wildcard().then_some(true),
        }
    }
}

/// The challenge that was met or failed, where there is one; else all.
fn shown(challenges: &[Challenge]) -> impl Iterator<Item = &Challenge> {
    let decided = |challenge: &&Challenge| match challenge.state {
        ChallengeState::Valid { .. } | ChallengeState::Invalid { .. } => true,
        ChallengeState::Pending | ChallengeState::Processing => false,
    };
    let any_decided = challenges.iter().any(|challenge| decided(&challenge));
    challenges
        .iter()
        .filter(move |challenge| !any_decided || decided(challenge))
}

/// The names of [`AuthorizationStatus`], for clients too.
#[derive(Serialize, Deserialize)]
#[serde(remote = "AuthorizationStatus", rename_all = "lowercase")]
enum WireStatus {
    Pending,
    Valid,
    Invalid,
    Deactivated,
    Expired,
    Revoked,
}
