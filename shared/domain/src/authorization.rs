//! An authorization: an account's proven, or yet unproven, control of one identifier (RFC 8555 §7.1.4).

use serde::{Deserialize, Serialize};

use crate::challenge::{Challenge, ChallengeState};
use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::ids::{AccountId, AuthorizationId, ChallengeId};
use crate::names::AuthorityName;
use crate::problem::Problem;
use crate::transition::InvalidTransition;

/// What is stored of an authorization's state. That it expired is seen from its time, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthorizationState {
    /// No challenge has been decided.
    Pending,
    /// A challenge was met.
    Valid,
    /// A challenge failed.
    Invalid,
    /// The client gave it up (RFC 8555 §7.5.2).
    Deactivated,
    /// The server took it back.
    Revoked,
}

/// What the protocol says of an authorization at a moment (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationStatus {
    /// To be proven.
    Pending,
    /// Proven.
    Valid,
    /// Failed, or not proven in time.
    Invalid,
    /// Given up by the client.
    Deactivated,
    /// Was valid; its time is over.
    Expired,
    /// Taken back by the server.
    Revoked,
}

/// An account's control of one identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Its id.
    pub id: AuthorizationId,
    /// The authority it counts for.
    pub authority: AuthorityName,
    /// Whose it is.
    pub account: AccountId,
    /// What it is about.
    pub identifier: Identifier,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops to count: pending ones cannot be proven after this, valid ones not be used.
    pub expires_at: Timestamp,
    /// What is stored of its state.
    pub state: AuthorizationState,
    /// The ways to prove it.
    pub challenges: Vec<Challenge>,
    /// Grows by one with each write.
    pub version: i64,
}

impl Authorization {
    /// What the protocol says at this moment.
    pub fn status(&self, now: Timestamp) -> AuthorizationStatus {
        let over = self.expires_at <= now;
        match self.state {
            AuthorizationState::Pending if over => AuthorizationStatus::Invalid,
            AuthorizationState::Pending => AuthorizationStatus::Pending,
            AuthorizationState::Valid if over => AuthorizationStatus::Expired,
            AuthorizationState::Valid => AuthorizationStatus::Valid,
            AuthorizationState::Invalid => AuthorizationStatus::Invalid,
            AuthorizationState::Deactivated => AuthorizationStatus::Deactivated,
            AuthorizationState::Revoked => AuthorizationStatus::Revoked,
        }
    }

    /// The challenge of this id.
    pub fn challenge(&self, id: ChallengeId) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.id == id)
    }

    /// The client says that it is ready: the challenge waits for its validation.
    pub fn begin(self, id: ChallengeId, now: Timestamp) -> Result<Self, InvalidTransition> {
        self.advance(
            id,
            now,
            "validated",
            ChallengeState::Processing,
            AuthorizationState::Pending,
        )
    }

    /// The challenge was met; the authorization now counts until `valid_until`.
    ///
    /// A pending challenge will do as well as a processing one: the validation job and the note that it was asked for
    /// are written beside each other, and either may be seen first.
    pub fn prove(
        self,
        id: ChallengeId,
        now: Timestamp,
        valid_until: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        let met = ChallengeState::Valid { validated_at: now };
        let mut proven = self.advance(id, now, "proven", met, AuthorizationState::Valid)?;
        proven.expires_at = valid_until;
        Ok(proven)
    }

    /// The challenge failed, and the authorization with it.
    pub fn fail(
        self,
        id: ChallengeId,
        now: Timestamp,
        error: Problem,
    ) -> Result<Self, InvalidTransition> {
        self.advance(
            id,
            now,
            "failed",
            ChallengeState::Invalid { error },
            AuthorizationState::Invalid,
        )
    }

    /// The client gives the authorization up, be it pending or valid.
    pub fn deactivate(mut self, now: Timestamp) -> Result<Self, InvalidTransition> {
        match self.status(now) {
            AuthorizationStatus::Pending | AuthorizationStatus::Valid => {
                self.state = AuthorizationState::Deactivated;
                Ok(self)
            }
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Deactivated
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Revoked => Err(self.refuse(now, "deactivated")),
        }
    }

    fn advance(
        mut self,
        id: ChallengeId,
        now: Timestamp,
        step: &'static str,
        to: ChallengeState,
        state: AuthorizationState,
    ) -> Result<Self, InvalidTransition> {
        if self.status(now) != AuthorizationStatus::Pending {
            return Err(self.refuse(now, step));
        }
        let Some(challenge) = self
            .challenges
            .iter_mut()
            .find(|challenge| challenge.id == id)
        else {
            return Err(self.refuse(now, step));
        };
        match challenge.state {
            ChallengeState::Pending | ChallengeState::Processing => challenge.state = to,
            ChallengeState::Valid { .. } | ChallengeState::Invalid { .. } => {
                return Err(challenge.refuse(step));
            }
        }
        self.state = state;
        Ok(self)
    }

    fn refuse(&self, now: Timestamp, step: &'static str) -> InvalidTransition {
        let state = match self.status(now) {
            AuthorizationStatus::Pending => "pending",
            AuthorizationStatus::Valid => "valid",
            AuthorizationStatus::Invalid => "invalid",
            AuthorizationStatus::Deactivated => "deactivated",
            AuthorizationStatus::Expired => "expired",
            AuthorizationStatus::Revoked => "revoked",
        };
        InvalidTransition {
            entity: "authorization",
            id: self.id.to_string(),
            state,
            step,
        }
    }
}
