//! How a validation ends without a proof.

use certfleet_domain::{Problem, ProblemKind};

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// The applicant does not show what is due; the problem says what was seen and what to do.
    #[error("not proven ({}): {}", .0.kind.name(), .0.detail)]
    Failed(Problem),
    /// Trouble on our side; nothing is decided. For the log, not for the client.
    #[error("could not be looked at: {why}")]
    Retry {
        /// What the trouble is.
        why: String,
    },
}

impl ValidationError {
    pub(crate) fn failed(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self::Failed(Problem::new(kind, detail))
    }
}

/// Settings that no validator can be made of.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// The user agent cannot be sent as a header.
    #[error("user agent {0:?} is not a header value: visible ASCII characters and spaces are due")]
    UserAgent(String),
    /// The system names no usable resolvers.
    #[error("the system's DNS resolvers cannot be used: {0}; name resolvers in the settings")]
    Resolvers(String),
    /// TLS could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
}
