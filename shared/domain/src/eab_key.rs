//! External account binding (RFC 8555 §7.3.4): a key that an administrator gives to whoever is to have an account.

use crate::clock::Timestamp;
use crate::ids::EabKeyId;
use crate::names::AuthorityName;
use crate::transition::InvalidTransition;

/// The public half of a key that binds accounts. The key itself lies sealed, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EabKey {
    /// Its id, which clients send as `kid`.
    pub id: EabKeyId,
    /// The authority whose accounts it binds.
    pub authority: AuthorityName,
    /// Whom it is for, as its maker put it.
    pub label: Option<String>,
    /// How many accounts it may bind yet.
    pub left: u32,
    /// How many it has bound.
    pub bound: u32,
    /// From this moment on it binds no more; accounts that it has bound stay.
    pub expires_at: Option<Timestamp>,
    /// Whether it may be used at all.
    pub state: EabKeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// Whether a key may bind accounts at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EabKeyState {
    /// It may.
    Active,
    /// It was taken away, for good, and with it the accounts that it had bound.
    Revoked {
        /// When.
        at: Timestamp,
    },
}

/// Why a key binds no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotBind {
    /// It was revoked.
    #[error("the key of this binding was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the key of this binding has expired")]
    Expired,
    /// It has bound as many as it may.
    #[error("the key of this binding has been used as often as it may be")]
    UsedUp,
}

impl EabKey {
    /// The key after it has bound one more account.
    pub fn bind(self, now: Timestamp) -> Result<Self, CannotBind> {
        match self.state {
            EabKeyState::Revoked { .. } => return Err(CannotBind::Revoked),
            EabKeyState::Active => {}
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(CannotBind::Expired);
        }
        let left = self.left.checked_sub(1).ok_or(CannotBind::UsedUp)?;
        Ok(Self {
            left,
            bound: self.bound.saturating_add(1),
            ..self
        })
    }

    /// It binds no more. What it has bound is for the caller to follow up.
    pub fn revoke(self, now: Timestamp) -> Result<Self, InvalidTransition> {
        match self.state {
            EabKeyState::Active => Ok(Self {
                state: EabKeyState::Revoked { at: now },
                ..self
            }),
            EabKeyState::Revoked { .. } => Err(InvalidTransition {
                entity: "key of a binding",
                id: self.id.to_string(),
                state: "revoked",
                step: "revoked",
            }),
        }
    }

    /// The name of its state, at this moment: `active`, `used`, `expired` or `revoked`.
    pub fn status(&self, now: Timestamp) -> &'static str {
        match self.clone().bind(now) {
            Ok(_) => "active",
            Err(CannotBind::Revoked) => "revoked",
            Err(CannotBind::Expired) => "expired",
            Err(CannotBind::UsedUp) => "used",
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::clock::{Clock, SystemClock, SystemRng};

    fn key(left: u32, expires_at: Option<Timestamp>) -> EabKey {
        EabKey {
            id: EabKeyId::generate(&SystemClock, &mut SystemRng),
            authority: "default".parse().unwrap(),
            label: None,
            left,
            bound: 0,
            expires_at,
            state: EabKeyState::Active,
            created_at: SystemClock.now(),
            version: 0,
        }
    }

    #[test]
    fn it_binds_as_often_as_it_may_until_its_end_or_its_revocation() {
        let now = SystemClock.now();
        let once = key(2, Some(now + Duration::SECOND)).bind(now).unwrap();
        assert_eq!((once.left, once.bound, once.status(now)), (1, 1, "active"));
        let twice = once.clone().bind(now).unwrap();
        assert_eq!(twice.status(now), "used");
        assert_eq!(twice.bind(now), Err(CannotBind::UsedUp));
        let end = now + Duration::SECOND;
        assert_eq!(once.clone().bind(end), Err(CannotBind::Expired));
        let revoked = once.revoke(now).unwrap();
        assert_eq!(revoked.clone().bind(now), Err(CannotBind::Revoked));
        // Of all that is wrong with it, that it was taken away is what counts.
        assert_eq!(revoked.status(end), "revoked");
        assert!(revoked.revoke(now).is_err());
    }
}
