//! Certificates that are served somewhere without anybody having told the fleet of them (DEP-5).

use time::Duration;

use crate::clock::Timestamp;
use crate::delivery::{Endpoint, Fingerprint};
use crate::identifier::Identifier;
use crate::ids::{DiscoveryId, ManagedId};
use crate::names::ProjectName;

/// How often it is looked.
const EVERY: Duration = Duration::DAY;
/// How soon a look that nothing came of is begun anew: whoever had it was killed.
const LOOK_AGAIN: Duration = Duration::minutes(15);

/// A place that is looked at for what it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Its id.
    pub id: DiscoveryId,
    /// Whose it is.
    pub project: ProjectName,
    /// Where, as workers reach it.
    pub endpoint: Endpoint,
    /// Whether it is one of a network: where nothing answers, there is nothing, and it is looked at once.
    pub swept: bool,
    /// What it serves, as it was seen last.
    pub served: Option<Discovered>,
    /// Why nothing was seen at the last look.
    pub trouble: Option<String>,
    /// When it was looked at last.
    pub looked_at: Option<Timestamp>,
    /// When it is looked at next.
    pub next_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// What is served somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The certificate.
    pub fingerprint: Fingerprint,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Its names, sorted, as far as a certificate can be had for them.
    pub names: Vec<Identifier>,
    /// Who has issued it, as it says itself.
    pub issuer: String,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Since when this one is seen.
    pub first_seen: Timestamp,
    /// The managed certificate that it is one of, if it is.
    pub managed: Option<ManagedId>,
}

impl Discovery {
    /// A new one, to be looked at at once.
    pub fn new(
        id: DiscoveryId,
        project: ProjectName,
        endpoint: Endpoint,
        swept: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            project,
            endpoint,
            swept,
            served: None,
            trouble: None,
            looked_at: None,
            next_at: now,
            version: 0,
        }
    }

    /// It was looked at, and serves this, or nothing that could be seen. What was seen before stays with the trouble; the same
    /// certificate keeps the moment at which it was seen first. `None` if there is nothing to look at any more.
    pub fn looked(self, found: Result<Discovered, String>, now: Timestamp) -> Option<Self> {
        let before = self.served;
        let (served, trouble) = match found {
            Ok(found) => {
                let same = before.filter(|before| before.fingerprint == found.fingerprint);
                let first_seen = same.map_or(found.first_seen, |before| before.first_seen);
                let found = Discovered {
                    first_seen,
                    ..found
                };
                (Some(found), None)
            }
            Err(_) if self.swept && before.is_none() => return None,
            Err(why) => (before, Some(why)),
        };
        Some(Self {
            served,
            trouble,
            looked_at: Some(now),
            next_at: now + EVERY,
            ..self
        })
    }

    /// The look is somebody's: no other begins one soon.
    #[must_use]
    pub fn put_off(self, now: Timestamp) -> Self {
        Self {
            next_at: now + LOOK_AGAIN,
            ..self
        }
    }

    /// `waiting` for a look, `managed`, `unmanaged`, or `unseen`.
    pub fn status(&self) -> &'static str {
        match &self.served {
            Some(Discovered {
                managed: Some(_), ..
            }) => "managed",
            Some(_) => "unmanaged",
            None if self.looked_at.is_some() => "unseen",
            None => "waiting",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock, SystemRng};

    fn discovery(swept: bool) -> Discovery {
        let id = DiscoveryId::generate(&SystemClock, &mut SystemRng);
        let endpoint = "192.0.2.1:443".parse().unwrap();
        Discovery::new(
            id,
            ProjectName::default(),
            endpoint,
            swept,
            SystemClock.now(),
        )
    }

    fn found(octet: u8, first_seen: Timestamp) -> Discovered {
        Discovered {
            fingerprint: Fingerprint::new([octet; 32]),
            serial: "01".to_owned(),
            names: vec!["a.example.org".parse().unwrap()],
            issuer: "CN=x".to_owned(),
            not_before: first_seen,
            not_after: first_seen,
            first_seen,
            managed: None,
        }
    }

    #[test]
    fn what_was_seen_stays_with_what_went_wrong_and_the_same_keeps_its_beginning() {
        let now = SystemClock.now();
        let away = || Err("away".to_owned());
        let one = discovery(false);
        assert_eq!(one.status(), "waiting");
        let unseen = one.looked(away(), now).unwrap();
        assert_eq!((unseen.status(), unseen.next_at), ("unseen", now + EVERY));
        let seen = unseen.looked(Ok(found(1, now)), now).unwrap();
        assert_eq!((seen.status(), seen.trouble.clone()), ("unmanaged", None));
        let later = now + Duration::DAY;
        let same = seen.looked(Ok(found(1, later)), later).unwrap();
        assert_eq!(same.served.as_ref().unwrap().first_seen, now);
        let gone = same.looked(away(), later).unwrap();
        assert_eq!(
            (gone.status(), gone.trouble.as_deref()),
            ("unmanaged", Some("away"))
        );
        let other = gone.looked(Ok(found(2, later)), later).unwrap();
        assert_eq!(other.served.unwrap().first_seen, later);
    }

    #[test]
    fn of_a_network_what_has_never_answered_is_nothing() {
        let now = SystemClock.now();
        let away = || Err("away".to_owned());
        assert_eq!(discovery(true).looked(away(), now), None);
        let seen = discovery(true).looked(Ok(found(1, now)), now).unwrap();
        assert!(seen.looked(away(), now).is_some());
    }
}
