//! What can go wrong with an authority.

use certfleet_acme::{InvalidCertId, ProblemDocument, SigningFailed};
use certfleet_domain::ProblemKind;
use certfleet_outgoing::TrustError;
use time::Duration;

/// What went wrong. The texts are for people: they say who and why.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is no answer, or none that it would give if it were well (5xx).
    #[error("{0}")]
    Away(String),
    /// It wants to be left alone for a while: a rate limit, or a maintenance.
    #[error("{why}")]
    Later {
        /// What it said.
        why: String,
        /// For how long, if it said so.
        after: Option<Duration>,
    },
    /// It refuses.
    #[error("{} ({})", .0.detail, .0.type_urn)]
    Refused(Box<ProblemDocument>),
    /// What was asked for is not there, and no more is said of it.
    #[error("{0}: there is nothing")]
    NotFound(String),
    /// It says something that no ACME server says.
    #[error("the authority's answer makes no sense: {0}")]
    Strange(String),
    /// Its certificate cannot be judged: the roots that are given for it are none.
    #[error("{0}")]
    Trust(#[from] TrustError),
    /// A request cannot be signed.
    #[error("{0}")]
    Signing(#[from] SigningFailed),
    /// What ARI is to name the certificate by is nothing.
    #[error("{0}")]
    CertId(#[from] InvalidCertId),
}

impl UpstreamError {
    /// The kind of problem, if it refuses for one.
    pub fn refusal(&self) -> Option<ProblemKind> {
        match self {
            Self::Refused(problem) => problem.kind(),
            _ => None,
        }
    }

    /// Whether it is the authority's word, so that to ask again at once leads nowhere.
    pub fn is_its_word(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Later { .. })
    }

    /// How long it wants to be left alone, if it said so.
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Later { after, .. } => *after,
            _ => None,
        }
    }

    /// Whether it refuses an order because of what the order says to replace (RFC 9773 §5): then one that says nothing is to
    /// be tried. `malformed` is among it, which an authority that does not know the certificate any more says.
    pub fn is_about_replacing(&self) -> bool {
        matches!(
            self.refusal(),
            Some(ProblemKind::AlreadyReplaced | ProblemKind::Malformed | ProblemKind::Unauthorized)
        )
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NotFound(_) => true,
            Self::Refused(problem) => problem.status == Some(404),
            _ => false,
        }
    }
}

/// The innermost reason: the outermost only says that a request failed.
pub(crate) fn away(of: &str, error: &reqwest::Error) -> UpstreamError {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let reason = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        reason.to_string()
    };
    UpstreamError::Away(format!("{of}: {reason}"))
}
