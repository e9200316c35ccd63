//! What comes first.

use crate::job::JobKind;

/// What comes first among jobs that are due. It is strict: as long as there is something more urgent, the rest waits; so
/// only what is little, and what others wait for, is urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Without it a service does not work, or it is a duty: there are few of them, and they are due by the clock.
    Urgent,
    /// A client waits for it.
    Ordinary,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 2] = [Self::Urgent, Self::Ordinary];
}

impl JobKind {
    /// How urgent it is.
    pub fn priority(self) -> Priority {
        match self {
            Self::IssueServerCertificate
            | Self::RecoverWork
            | Self::CheckAuthorities
            | Self::SequenceEvents
            | Self::ForwardEvents
            | Self::PublishCrls
            | Self::RewrapSecrets
            | Self::PlanRenewals
            | Self::UpdateDns
            | Self::ScanEndpoints
            | Self::TellNotices
            | Self::Discover
            | Self::ApplyRetention => Priority::Urgent,
            Self::ValidateChallenge
            | Self::SignCertificate
            | Self::SignOcspResponse
            | Self::RenewManaged => Priority::Ordinary,
        }
    }
}
