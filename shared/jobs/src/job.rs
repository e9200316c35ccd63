//! The closed list of what workers do.

use std::fmt;
use std::str::FromStr;

use certfleet_domain::{
    AccountId, AttemptTerms, AuthorityName, AuthorizationId, CertIdHash, CertificateId,
    ChallengeId, Identifier, ManagedId, Order, OrderId,
};
use serde::{Deserialize, Serialize};

/// What there is to do. Serialized as `{"kind": ..., ...}`: the payload of the stored job.
///
/// A new kind is a new variant; replicas of an older build do not claim it (see `CONTRIBUTING.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Job {
    /// Find out whether a challenge is met.
    ValidateChallenge {
        /// The authorization that the challenge belongs to.
        authorization: AuthorizationId,
        /// The challenge.
        challenge: ChallengeId,
        /// Whose it is; jobs of older builds do not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
        /// What the rate limits have to be told of its end.
        #[serde(default, skip_serializing_if = "AttemptTerms::is_empty")]
        terms: AttemptTerms,
    },
    /// Sign the certificate that an order's finalization intended.
    SignCertificate {
        /// The order.
        order: OrderId,
        /// The authority that signs; jobs of older builds do not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<AuthorityName>,
    },
    /// Sign an OCSP answer about a certificate.
    SignOcspResponse {
        /// The certificate.
        certificate: CertificateId,
        /// How requests name its issuer.
        hash: CertIdHash,
        /// The authority whose it is.
        authority: AuthorityName,
        /// Whether it was revoked when it was asked for: what is signed after a revocation is a job of its own.
        revoked: bool,
        /// The minute in which it was asked for, since 1970: so is another try.
        minute: i64,
    },
    /// Make or renew the certificate that the API itself shows.
    IssueServerCertificate {
        /// The authority that signs it.
        authority: AuthorityName,
        /// The names it is for.
        names: Vec<Identifier>,
        /// When the one that it replaces ends, in Unix seconds, 0 for the first: each renewal is a job of its own.
        replacing: i64,
    },
    /// Give orders and challenges that wait for a job, and have none, their job back.
    RecoverWork {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Find out of each authority whether it can sign.
    CheckAuthorities {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Give the events of the audit trail their numbers.
    SequenceEvents {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Send the events of the audit trail to whoever collects such things.
    ForwardEvents {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Sign the CRLs that are due, or that a revoked certificate is missing in.
    PublishCrls {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Seal anew what is under another KEK than the one that seals.
    RewrapSecrets {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Look at a managed certificate, and do for it what is to be done.
    RenewManaged {
        /// The managed certificate.
        managed: ManagedId,
        /// How often a look at it had ended: each is a job of its own.
        round: i64,
    },
    /// Publish proofs of names in zones that the fleet may change, and remove those that nobody wants any more.
    UpdateDns {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Look at what is served where certificates of the fleet should be.
    ScanEndpoints {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Look at what is served where somebody has said that something might be.
    Discover {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Tell people what they are to know without having asked.
    TellNotices {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Enqueue a look at each managed certificate that is due for one.
    PlanRenewals {
        /// When this run was due, in Unix seconds.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
    },
    /// Remove what has served its time.
    ApplyRetention {
        /// When this run was due, in Unix seconds: what has expired by then may go.
        due: i64,
        /// The first time since the run before at which one was due.
        since: i64,
        /// Orders that expired before this moment, in Unix seconds, go.
        orders_before: i64,
        /// Authorizations that expired before this moment, in Unix seconds, go.
        authorizations_before: i64,
        /// For how many seconds jobs are kept after they finished.
        jobs_for: u64,
        /// Entries of the audit trail of before this moment, in Unix seconds, go; without it, none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audit_before: Option<i64>,
        /// Certificates that managed ones have had, and that expired before this moment, in Unix seconds, go with their keys; but for
        /// the one that each has now. Without it, none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        versions_before: Option<i64>,
    },
}

macro_rules! kinds {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// The kind of a [`Job`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum JobKind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl JobKind {
            /// Every kind this build knows. Claims name these and no others.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the database, in settings and in metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl Job {
            /// Its kind.
            pub fn kind(&self) -> JobKind {
                match self {
                    $(Self::$variant { .. } => JobKind::$variant,)*
                }
            }
        }
    };
}

kinds! {
    ValidateChallenge = "validateChallenge",
    SignCertificate = "signCertificate",
    SignOcspResponse = "signOcspResponse",
    IssueServerCertificate = "issueServerCertificate",
    RecoverWork = "recoverWork",
    CheckAuthorities = "checkAuthorities",
    SequenceEvents = "sequenceEvents",
    ForwardEvents = "forwardEvents",
    PublishCrls = "publishCrls",
    RewrapSecrets = "rewrapSecrets",
    RenewManaged = "renewManaged",
    PlanRenewals = "planRenewals",
    UpdateDns = "updateDns",
    ScanEndpoints = "scanEndpoints",
    TellNotices = "tellNotices",
    Discover = "discover",
    ApplyRetention = "applyRetention",
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no kind of job of this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of job; the kinds are {known}", known = JobKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "))]
pub struct UnknownJobKind(String);

impl FromStr for JobKind {
    type Err = UnknownJobKind;

    fn from_str(text: &str) -> Result<Self, UnknownJobKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownJobKind(text.to_owned()))
    }
}

/// What makes a job unique: enqueued twice, it is there once. It is the job's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobKey(String);

impl JobKey {
    /// The text, as it stands in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key as read from the database or a command line.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Job {
    /// The signing of the certificate that an order intends.
    pub fn sign(order: &Order) -> Self {
        Self::SignCertificate {
            order: order.id,
            authority: Some(order.authority.clone()),
        }
    }

    /// For whom or by whom it is done, where that is somebody who could ask for too much, or can do only so much at once:
    /// an account, the fleet, or an authority. The party's share of the hands is limited (see [`Room`](crate::Room)).
    pub fn party(&self) -> Option<String> {
        match self {
            // Of all that a mass of renewals does, others' validations go on.
            Self::RenewManaged { .. } => Some(FLEET.to_owned()),
            Self::ValidateChallenge { account, .. } => account.map(|account| account.to_string()),
            Self::SignCertificate { authority, .. } => authority.as_ref().map(of_authority),
            Self::IssueServerCertificate { authority, .. }
            | Self::SignOcspResponse { authority, .. } => Some(of_authority(authority)),
            Self::RecoverWork { .. }
            | Self::CheckAuthorities { .. }
            | Self::SequenceEvents { .. }
            | Self::ForwardEvents { .. }
            | Self::PublishCrls { .. }
            | Self::RewrapSecrets { .. }
            | Self::PlanRenewals { .. }
            | Self::UpdateDns { .. }
            | Self::ScanEndpoints { .. }
            | Self::TellNotices { .. }
            | Self::Discover { .. }
            | Self::ApplyRetention { .. } => None,
        }
    }

    /// What makes this job unique.
    pub fn key(&self) -> JobKey {
        JobKey(match self {
            Self::ValidateChallenge { challenge, .. } => format!("validate/{challenge}"),
            Self::SignCertificate { order, .. } => format!("sign/{order}"),
            Self::IssueServerCertificate {
                authority,
                replacing,
                ..
            } => format!("server-certificate/{authority}/{replacing}"),
            Self::RecoverWork { due, .. } => format!("recover-work/{due}"),
            Self::CheckAuthorities { due, .. } => format!("check-authorities/{due}"),
            Self::SequenceEvents { due, .. } => format!("sequence-events/{due}"),
            Self::ForwardEvents { due, .. } => format!("forward-events/{due}"),
            Self::SignOcspResponse {
                certificate,
                hash,
                revoked,
                minute,
                ..
            } => {
                let status = if *revoked { "revoked" } else { "good" };
                format!("ocsp/{certificate}/{hash}/{status}/{minute}")
            }
            Self::PublishCrls { due, .. } => format!("publish-crls/{due}"),
            Self::RewrapSecrets { due, .. } => format!("rewrap-secrets/{due}"),
            Self::RenewManaged { managed, round } => format!("renew/{managed}/{round}"),
            Self::PlanRenewals { due, .. } => format!("plan-renewals/{due}"),
            Self::ScanEndpoints { due, .. } => format!("scan-endpoints/{due}"),
            Self::TellNotices { due, .. } => format!("tell-notices/{due}"),
            Self::Discover { due, .. } => format!("discover/{due}"),
            Self::UpdateDns { due, .. } => format!("update-dns/{due}"),
            Self::ApplyRetention { due, .. } => format!("apply-retention/{due}"),
        })
    }
}

/// The fleet as a party. No account is called so.
const FLEET: &str = "fleet";

/// No account is called so.
fn of_authority(name: &AuthorityName) -> String {
    format!("authority/{name}")
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{SystemClock, SystemRng};

    use super::*;

    #[test]
    fn kind_names_round_trip() {
        for kind in JobKind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        let error = "mowLawn".parse::<JobKind>().unwrap_err().to_string();
        assert!(error.contains("signCertificate"), "{error}");
    }

    #[test]
    fn keys_differ_by_what_is_to_be_done() {
        let one = OrderId::generate(&SystemClock, &mut SystemRng);
        let other = OrderId::generate(&SystemClock, &mut SystemRng);
        let authority: AuthorityName = "default".parse().expect("a name");
        let sign = |order, authority| Job::SignCertificate { order, authority };
        // Whoever asks for it.
        assert_eq!(sign(one, None).key(), sign(one, Some(authority)).key());
        assert_ne!(sign(one, None).key(), sign(other, None).key());
    }
}
