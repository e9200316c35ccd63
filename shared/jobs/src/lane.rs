//! Lanes: kinds of jobs that do not stand in each other's way.

use crate::job::JobKind;

/// Kinds of jobs that share hands. Each lane has hands of its own, so that what waits for strangers does not hold up what
/// waits for nobody: a thousand challenges of hosts that never answer must not keep one certificate from being signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// What depends on us alone.
    Inside,
    /// What depends on others' hosts.
    Outside,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Inside, Self::Outside];
}

impl JobKind {
    /// The lane it goes in.
    pub fn lane(self) -> Lane {
        match self {
            Self::ValidateChallenge
            | Self::ForwardEvents
            | Self::RenewManaged
            | Self::UpdateDns
            | Self::ScanEndpoints
            | Self::TellNotices
            | Self::Discover => Lane::Outside,
            Self::SignCertificate
            | Self::SignOcspResponse
            | Self::IssueServerCertificate
            | Self::RecoverWork
            | Self::CheckAuthorities
            | Self::SequenceEvents
            | Self::PublishCrls
            | Self::RewrapSecrets
            | Self::PlanRenewals
            | Self::ApplyRetention => Lane::Inside,
        }
    }
}
