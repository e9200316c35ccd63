//! Tokens, by which programs and people are known to the REST API. Only their digests are kept.

use super::{Grant, Permission, Sight};
use crate::clock::Timestamp;
use crate::delivery::TokenDigest;
use crate::ids::TokenId;
use crate::names::ProjectName;
use crate::transition::InvalidTransition;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id, which is part of its text.
    pub id: TokenId,
    /// Whom it is for, as its maker put it.
    pub label: String,
    /// The SHA-256 digest of its secret, which is 256 random bits.
    pub digest: TokenDigest,
    /// What it lets its bearer do; at least one.
    pub grants: Vec<Grant>,
    /// From this moment on it counts no more.
    pub expires_at: Option<Timestamp>,
    /// Whether it counts at all.
    pub state: ApiTokenState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// Whether a token counts at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiTokenState {
    /// It does.
    Active,
    /// It was taken away, for good.
    Revoked {
        /// When.
        at: Timestamp,
    },
}

/// Why a bearer is not let in. All of it is told alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The secret is another one.
    #[error("the token is not known")]
    Secret,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was taken away.
    #[error("the token was revoked")]
    Revoked,
}

impl ApiToken {
    /// Lets in whoever shows the secret of this digest. Compared in constant time.
    pub fn admit(&self, shown: TokenDigest, now: Timestamp) -> Result<(), NotAdmitted> {
        if self.digest != shown {
            return Err(NotAdmitted::Secret);
        }
        match self.state {
            ApiTokenState::Revoked { .. } => Err(NotAdmitted::Revoked),
            ApiTokenState::Active if self.has_expired(now) => Err(NotAdmitted::Expired),
            ApiTokenState::Active => Ok(()),
        }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether its bearer may do this in that project, or, without one, to what belongs to no project.
    pub fn may(&self, permission: Permission, project: Option<&ProjectName>) -> bool {
        let mut grants = self.grants.iter();
        grants.any(|grant| grant.allows(permission, project))
    }

    /// Whose things its bearer gets to see.
    pub fn sight(&self) -> Sight {
        Sight::by(&self.grants)
    }

    /// It counts no more.
    pub fn revoke(self, now: Timestamp) -> Result<Self, InvalidTransition> {
        match self.state {
            ApiTokenState::Active => Ok(Self {
                state: ApiTokenState::Revoked { at: now },
                ..self
            }),
            ApiTokenState::Revoked { .. } => Err(InvalidTransition {
                entity: "token",
                id: self.id.to_string(),
                state: "revoked",
                step: "revoked",
            }),
        }
    }

    /// The name of its state, at this moment: `active`, `expired` or `revoked`.
    pub fn status(&self, now: Timestamp) -> &'static str {
        match self.state {
            ApiTokenState::Revoked { .. } => "revoked",
            ApiTokenState::Active if self.has_expired(now) => "expired",
            ApiTokenState::Active => "active",
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::{Role, Scope};
    use super::*;
    use crate::clock::{Clock as _, SystemClock, SystemRng};

    fn token(grants: &[&str]) -> ApiToken {
        ApiToken {
            id: TokenId::generate(&SystemClock, &mut SystemRng),
            label: "test".to_owned(),
            digest: TokenDigest::new([1; 32]),
            grants: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            expires_at: None,
            state: ApiTokenState::Active,
            created_at: SystemClock.now(),
            version: 0,
        }
    }

    #[test]
    fn a_bearer_is_let_in_by_the_secret_until_the_end_or_the_revocation() {
        let now = SystemClock.now();
        let (right, wrong) = (TokenDigest::new([1; 32]), TokenDigest::new([2; 32]));
        let short = ApiToken {
            expires_at: Some(now + Duration::SECOND),
            ..token(&["viewer"])
        };
        assert_eq!(short.admit(right, now), Ok(()));
        assert_eq!(short.admit(wrong, now), Err(NotAdmitted::Secret));
        let end = now + Duration::SECOND;
        assert_eq!(short.admit(right, end), Err(NotAdmitted::Expired));
        assert_eq!(
            (short.status(now), short.status(end)),
            ("active", "expired")
        );
        let revoked = short.revoke(now).unwrap();
        assert_eq!(revoked.admit(right, now), Err(NotAdmitted::Revoked));
        assert_eq!(revoked.status(end), "revoked");
        assert!(revoked.revoke(now).is_err());
    }

    #[test]
    fn a_role_counts_where_it_was_given_and_for_what_it_is() {
        let web: ProjectName = "web".parse().unwrap();
        let other: ProjectName = "other".parse().unwrap();
        let both = token(&["operator@web", "viewer@other"]);
        for (permission, project, due) in [
            (Permission::Look, Some(&web), true),
            (Permission::Operate, Some(&web), true),
            (Permission::Administer, Some(&web), false),
            (Permission::Audit, Some(&web), false),
            (Permission::Look, Some(&other), true),
            (Permission::Operate, Some(&other), false),
            (Permission::Look, None, false),
        ] {
            assert_eq!(
                both.may(permission, project),
                due,
                "{permission:?} {project:?}"
            );
        }
        assert_eq!(both.sight(), Sight::Of([web.clone(), other].into()));
        let admin = token(&["admin"]);
        for permission in [
            Permission::Look,
            Permission::Audit,
            Permission::Operate,
            Permission::Administer,
        ] {
            assert!(admin.may(permission, Some(&web)) && admin.may(permission, None));
        }
        assert_eq!(admin.sight(), Sight::Everything);
        let auditor = token(&["auditor"]);
        assert!(auditor.may(Permission::Audit, None));
        assert!(!auditor.may(Permission::Operate, Some(&web)));
    }

    #[test]
    fn grants_are_read_as_they_are_written() {
        for text in ["admin", "viewer@web"] {
            let grant: Grant = text.parse().unwrap();
            assert_eq!(grant.to_string(), text);
        }
        let everywhere = Grant {
            role: Role::Admin,
            scope: Scope::Everywhere,
        };
        assert_eq!("admin".parse(), Ok(everywhere));
        for bad in ["", "root", "admin@", "admin@A b", "@web"] {
            assert!(bad.parse::<Grant>().is_err(), "{bad}");
        }
    }
}
