//! Who can prove names of the fleet by dns-01: whoever may change the zone that they are in (FLT-8).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::Duration;

use crate::clock::Timestamp;
use crate::identifier::{DnsName, Identifier};
use crate::ids::ManagedId;
use crate::names::{ProjectName, SolverName};

/// A zone that the fleet may change by dynamic updates (RFC 2136). The key that they are signed with lies sealed, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solver {
    /// Its name in the fleet.
    pub name: SolverName,
    /// Whose it is.
    pub project: ProjectName,
    /// The zone.
    pub zone: DnsName,
    /// The zone's primary server, which takes the updates.
    pub server: SocketAddr,
    /// The servers that have to show a proof before an authority is told to look; the primary alone, if there is none.
    pub watched: Vec<SocketAddr>,
    /// By what name the server knows the key.
    pub key_name: DnsName,
    /// The key's algorithm.
    pub algorithm: TsigAlgorithm,
    /// When it was added.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// How an update is signed (RFC 8945 §6): what is not broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl TsigAlgorithm {
    const ALL: [Self; 3] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    /// Its name in DNS.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

/// Text that names no algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hmac-sha256, hmac-sha384 or hmac-sha512 is due")]
pub struct UnknownAlgorithm;

impl FromStr for TsigAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for TsigAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a name is proven by dns-01 (RFC 8555 §8.4).
pub fn challenge_name(domain: &DnsName) -> String {
    format!("_acme-challenge.{domain}")
}

impl Solver {
    /// Who can prove this name: of those that may change a zone that it is in, the one with the longest. `None` if there is
    /// none, or it is an address.
    pub fn of<'s>(solvers: &'s [Self], name: &Identifier) -> Option<&'s Self> {
        let (Identifier::Dns(domain) | Identifier::Wildcard(domain)) = name else {
            return None;
        };
        let able = solvers
            .iter()
            .filter(|solver| domain.is_within(&solver.zone));
        able.max_by_key(|solver| solver.zone.as_str().len())
    }
}

/// A TXT record that proves a name, from when it is wanted until it is gone. Those of many renewals are published together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsProof {
    /// Who publishes it.
    pub solver: SolverName,
    /// The record's whole name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// How far it is.
    pub state: ProofState,
    /// For which managed certificate.
    pub managed: ManagedId,
    /// Since when it is that far.
    pub changed_at: Timestamp,
    /// From this moment on nobody wants it any more, whoever has forgotten it.
    pub until: Timestamp,
    /// What went wrong when its zone was to be changed last.
    pub trouble: Option<String>,
}

/// How far a proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProofState {
    /// It is to be published.
    Wanted,
    /// It is seen at all servers that are watched.
    Published,
    /// It is to be removed.
    Done,
}

impl DnsProof {
    /// What it is known by: the same record is one, however many want it.
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.solver, self.name, self.text)
    }
}

/// How long what has changed waits for what comes with it, and how long at the most, however much comes: one change of a zone,
/// however many proofs.
const WANTED: (Duration, Duration) = (Duration::seconds(3), Duration::MINUTE);
/// Of many that have come, more are coming: for each so many the wait is a second longer, up to so many seconds more.
const MORE: (usize, i64) = (50, 12);
/// Nobody waits for what is to be removed, and renewals end one after the other.
const UNWANTED: (Duration, Duration) = (Duration::seconds(30), Duration::minutes(10));

/// Whether a zone is to be changed now, of which these proofs are to be published or removed. What is to be removed goes with what
/// is to be published, if there is any.
pub fn settled(pending: &[DnsProof], now: Timestamp) -> bool {
    let (wanted, unwanted): (Vec<_>, Vec<_>) = pending
        .iter()
        .partition(|proof| proof.state == ProofState::Wanted);
    if wanted.is_empty() {
        is_quiet(&unwanted, UNWANTED, now)
    } else {
        let (each, most) = MORE;
        let more = i64::try_from(wanted.len() / each).unwrap_or(most).min(most);
        let (settle, longest) = WANTED;
        let settle = settle + Duration::seconds(more);
        is_quiet(&wanted, (settle, longest), now)
    }
}

fn is_quiet(proofs: &[&DnsProof], (settle, longest): (Duration, Duration), now: Timestamp) -> bool {
    let changes = proofs.iter().map(|proof| proof.changed_at);
    let newest = changes.clone().max();
    let oldest = changes.min();
    newest.is_some_and(|at| at <= now - settle) || oldest.is_some_and(|at| at <= now - longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn solver(name: &str, zone: &str) -> Solver {
        Solver {
            name: name.parse().unwrap(),
            project: ProjectName::default(),
            zone: zone.parse().unwrap(),
            server: "127.0.0.1:53".parse().unwrap(),
            watched: Vec::new(),
            key_name: "key.example".parse().unwrap(),
            algorithm: TsigAlgorithm::default(),
            created_at: SystemClock.now(),
            version: 0,
        }
    }

    #[test]
    fn the_longest_zone_that_a_name_is_in_wins() {
        let solvers = [
            solver("all", "example.org"),
            solver("sub", "sub.example.org"),
            solver("other", "example.net"),
        ];
        for (name, due) in [
            ("www.example.org", Some("all")),
            ("example.org", Some("all")),
            ("*.example.org", Some("all")),
            ("*.sub.example.org", Some("sub")),
            ("a.b.sub.example.org", Some("sub")),
            ("notexample.org", None),
            ("example.com", None),
            ("192.0.2.1", None),
        ] {
            let found = Solver::of(&solvers, &name.parse().unwrap());
            assert_eq!(found.map(|solver| solver.name.as_str()), due, "{name}");
        }
    }

    #[test]
    fn a_zone_is_changed_when_nothing_more_comes_or_something_has_waited_for_long() {
        let now = SystemClock.now();
        let proof = |state: ProofState, age: i64| DnsProof {
            solver: "all".parse().unwrap(),
            name: "_acme-challenge.example.org".to_owned(),
            text: "text".to_owned(),
            state,
            managed: ManagedId::generate(&SystemClock, &mut crate::SystemRng),
            changed_at: now - Duration::seconds(age),
            until: now,
            trouble: None,
        };
        for (wanted, done, due) in [
            ([].as_slice(), [].as_slice(), false),
            (&[0], &[], false),
            (&[3], &[], true),
            (&[20, 1], &[], false),
            (&[20, 4], &[], true),
            (&[60, 0], &[], true),
            (&[], &[29], false),
            (&[], &[300, 30], true),
            (&[], &[600, 0], true),
            // What is to be removed neither hurries what is to be published nor holds it up.
            (&[1], &[600], false),
            (&[3], &[0], true),
        ] {
            let wanted = wanted.iter().map(|age| proof(ProofState::Wanted, *age));
            let done = done.iter().map(|age| proof(ProofState::Done, *age));
            let pending: Vec<DnsProof> = wanted.chain(done).collect();
            assert_eq!(settled(&pending, now), due, "{pending:?}");
        }
    }

    #[test]
    fn the_more_have_come_the_longer_more_are_waited_for() {
        let now = SystemClock.now();
        let proof = |age: i64| DnsProof {
            solver: "all".parse().unwrap(),
            name: "_acme-challenge.example.org".to_owned(),
            text: "text".to_owned(),
            state: ProofState::Wanted,
            managed: ManagedId::generate(&SystemClock, &mut crate::SystemRng),
            changed_at: now - Duration::seconds(age),
            until: now,
            trouble: None,
        };
        for (count, due) in [(1, 3), (49, 3), (50, 4), (500, 13), (5000, 15)] {
            let some = |age| vec![proof(age); count];
            assert!(!settled(&some(due - 1), now), "{count}");
            assert!(settled(&some(due), now), "{count}");
        }
    }

    #[test]
    fn algorithms_are_read_as_they_are_written() {
        for algorithm in TsigAlgorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        assert!("hmac-md5".parse::<TsigAlgorithm>().is_err());
    }
}
