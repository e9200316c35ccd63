//! A host's agent, and how it is known: by the certificate it shows, which it made itself.
//!
//! No authority signs these certificates. An invitation's token is exchanged once for the fingerprint of one, and from then on
//! whoever shows that certificate, and has its key, is the agent. So no authority's theft makes agents, one that is removed is
//! out with the next request, and an agent gets in while no worker runs.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq as _;
use time::Duration;

use crate::clock::Timestamp;
use crate::names::{AgentName, ProjectName};

/// An agent's certificate may be valid for so long; it makes another before.
const LONGEST: Duration = Duration::days(90);
/// So far a clock may be wrong.
const TOLERANCE: Duration = Duration::minutes(5);

/// The SHA-256 digest of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of this digest.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is due: 64 lower-case hexadecimal digits")]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let plain = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(plain) {
            return Err(InvalidFingerprint);
        }
        let mut digest = [0; 32];
        for (index, octet) in digest.iter_mut().enumerate() {
            let pair = text.get(2 * index..2 * index + 2);
            let pair = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            *octet = pair.ok_or(InvalidFingerprint)?;
        }
        Ok(Self(digest))
    }
}

/// The SHA-256 digest of a token; the token itself is not kept.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of this digest.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The octets.
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}

/// A certificate that an agent shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentCertificate {
    /// Which.
    pub fingerprint: Fingerprint,
    /// Until when it counts.
    pub not_after: Timestamp,
}

/// A host's agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: AgentName,
    /// Whose it is.
    pub project: ProjectName,
    /// Whether it is there yet.
    pub state: AgentState,
    /// When it was invited first.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// Whether an agent is there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// Whoever shows this token may enrol, once.
    Invited {
        /// Its digest.
        token: TokenDigest,
        /// Until when.
        until: Timestamp,
    },
    /// It is known by its certificate.
    Enrolled {
        /// The one it shows.
        certificate: AgentCertificate,
        /// The one that it is about to show instead; from then on, the former counts no more.
        next: Option<AgentCertificate>,
    },
}

/// Why an agent does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotEnrol {
    /// The token is another's, or was used.
    #[error(
        "the token is not this agent's, or was used before: `certfleet agent invite NAME --again` makes another"
    )]
    Token,
    /// Its time is over.
    #[error("the invitation is over: `certfleet agent invite NAME --again` makes another")]
    Over,
    /// The certificate is of no use.
    #[error(
        "the agent's certificate has to be valid now, and for 90 days at the most: is the host's clock right?"
    )]
    Certificate,
    /// It has none that could be followed by another.
    #[error("the agent is not enrolled")]
    NotEnrolled,
}

impl Agent {
    /// One that is invited.
    pub fn invited(name: AgentName, token: TokenDigest, until: Timestamp, now: Timestamp) -> Self {
        Self {
            name,
            project: ProjectName::default(),
            state: AgentState::Invited { token, until },
            created_at: now,
            version: 0,
        }
    }

    /// The same, of this project.
    #[must_use]
    pub fn in_project(self, project: ProjectName) -> Self {
        Self { project, ..self }
    }

    /// Invited anew: what it showed before counts no more.
    #[must_use]
    pub fn invite_again(self, token: TokenDigest, until: Timestamp) -> Self {
        Self {
            state: AgentState::Invited { token, until },
            ..self
        }
    }

    /// It enrols with a token, and shows this certificate. Done again by the same, it is done already.
    pub fn enrol(
        self,
        shown: TokenDigest,
        certificate: AgentCertificate,
        not_before: Timestamp,
        now: Timestamp,
    ) -> Result<Self, CannotEnrol> {
        require_useful(certificate, not_before, now)?;
        match self.state {
            AgentState::Invited { token, .. } if token != shown => Err(CannotEnrol::Token),
            AgentState::Invited { until, .. } if until <= now => Err(CannotEnrol::Over),
            AgentState::Invited { .. } => Ok(Self {
                state: AgentState::Enrolled {
                    certificate,
                    next: None,
                },
                ..self
            }),
            AgentState::Enrolled {
                certificate: known, ..
            } if known == certificate => Ok(self),
            AgentState::Enrolled { .. } => Err(CannotEnrol::Token),
        }
    }

    /// It is about to show another certificate.
    pub fn announce(
        self,
        next: AgentCertificate,
        not_before: Timestamp,
        now: Timestamp,
    ) -> Result<Self, CannotEnrol> {
        require_useful(next, not_before, now)?;
        let AgentState::Enrolled { certificate, .. } = self.state else {
            return Err(CannotEnrol::NotEnrolled);
        };
        Ok(Self {
            state: AgentState::Enrolled {
                certificate,
                next: Some(next),
            },
            ..self
        })
    }

    /// Whether this certificate is its own, and counts.
    pub fn is_shown_by(&self, fingerprint: Fingerprint, now: Timestamp) -> bool {
        let AgentState::Enrolled { certificate, next } = &self.state else {
            return false;
        };
        let counts = |own: &AgentCertificate| own.fingerprint == fingerprint && own.not_after > now;
        counts(certificate) || next.as_ref().is_some_and(counts)
    }

    /// The agent after it has shown this certificate: if that is the next one, the former counts no more. `None` if nothing
    /// has changed.
    pub fn shows(&self, fingerprint: Fingerprint) -> Option<Self> {
        match &self.state {
            AgentState::Enrolled {
                next: Some(next), ..
            } if next.fingerprint == fingerprint => Some(Self {
                state: AgentState::Enrolled {
                    certificate: *next,
                    next: None,
                },
                ..self.clone()
            }),
            AgentState::Enrolled { .. } | AgentState::Invited { .. } => None,
        }
    }
}

fn require_useful(
    certificate: AgentCertificate,
    not_before: Timestamp,
    now: Timestamp,
) -> Result<(), CannotEnrol> {
    let begins = not_before <= now + TOLERANCE;
    let ends = certificate.not_after > now && certificate.not_after <= now + LONGEST + TOLERANCE;
    if begins && ends {
        Ok(())
    } else {
        Err(CannotEnrol::Certificate)
    }
}
