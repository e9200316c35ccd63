//! Everything that can end a request early, and the one place where it becomes an answer.

use axum::Json;
use axum::response::{IntoResponse, Response};
use certfleet_acme::{JwsError, ProblemDocument, media_type};
use certfleet_data_kit::Pressed;
use certfleet_domain::{InvalidTransition, Problem, ProblemKind};
use certfleet_storage::{CommitError, StorageError};
use http::header::{CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use crate::limits::{Refusal, whole_seconds};

/// How long a client is asked to wait while the database is electing.
const RETRY_AFTER_OUTAGE: HeaderValue = HeaderValue::from_static("3");

/// How long a client is asked to wait while there is a maintenance.
const RETRY_AFTER_MAINTENANCE: HeaderValue = HeaderValue::from_static("300");

/// Why a request ends early.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request's signature or message is refused.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The protocol has a problem for it.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// There is no such resource, or none that this account may know of.
    #[error("{0}")]
    NotFound(&'static str),
    /// The method does not go with the resource.
    #[error("the method does not go with this resource")]
    MethodNotAllowed,
    /// The account exists but may not be used.
    #[error("the account is {0}")]
    AccountUnusable(&'static str),
    /// The new key belongs to another account, whose URL this is (RFC 8555 §7.3.5).
    #[error("the key belongs to another account")]
    KeyInUse(String),
    /// The terms of service, at this URL, have to be agreed to.
    #[error("the terms of service have to be agreed to")]
    TermsNotAgreed(String),
    /// The state of the thing does not allow the step.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// Others were faster again and again.
    #[error("other requests changed the same resource meanwhile")]
    Contended,
    /// The client took too long to send its request.
    #[error("the body was not sent in time")]
    SlowBody,
    /// The client's connection ended within the body.
    #[error("the body broke off")]
    BrokenBody,
    /// The request took longer than any may.
    #[error("not done within the ceiling for requests")]
    TooSlow,
    /// A rate limit is exceeded, or a name is paused. Nothing was done.
    #[error("{}", .0.problem.detail)]
    RateLimited(Box<Refusal>),
    /// Nothing new is begun, for this reason, which may be empty.
    #[error("maintenance: {0}")]
    Maintenance(String),
    /// Connections to the database are short: nothing was begun.
    #[error("{0}")]
    Pressed(Pressed),
    /// A worker will sign it in a moment.
    #[error("it is not signed yet")]
    NotSignedYet,
    /// The database is in trouble.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Something that cannot be is: a fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Changed { .. } | CommitError::Duplicate { .. } => Self::Contended,
            CommitError::Storage(error) => Self::Storage(error),
        }
    }
}

impl ApiError {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self::Problem(Problem::new(kind, detail))
    }

    /// What `Retry-After` says with a 429 or a 503.
    fn retry_after(&self) -> HeaderValue {
        match self {
            Self::RateLimited(refusal) => HeaderValue::from(whole_seconds(refusal.wait)),
            Self::Maintenance(_) => RETRY_AFTER_MAINTENANCE,
            Self::Pressed(pressed) => pressed
                .pressure
                .retry_after()
                .map_or(RETRY_AFTER_OUTAGE, |wait| HeaderValue::from(wait.as_secs())),
            _ => RETRY_AFTER_OUTAGE,
        }
    }

    fn document(&self) -> ProblemDocument {
        let of = |kind, detail: &str| ProblemDocument::from(&Problem::new(kind, detail));
        match self {
            Self::Jws(error) => ProblemDocument::from(&error.problem()).with_status(error.status()),
            Self::Problem(problem) => ProblemDocument::from(problem),
            Self::RateLimited(refusal) => ProblemDocument::from(&refusal.problem),
            Self::NotFound(what) => of(ProblemKind::Malformed, what).with_status(404),
            Self::MethodNotAllowed => of(
                ProblemKind::Malformed,
                "the method does not go with this resource: all but the directory and new-nonce take POST, and what is \
                 only read takes POST-as-GET (RFC 8555 §6.3)",
            )
            .with_status(405),
            Self::AccountUnusable(status) => {
                let detail = format!("the account is {status} and cannot be used any more");
                of(ProblemKind::Unauthorized, &detail).with_status(401)
            }
            Self::KeyInUse(_) => of(
                ProblemKind::Malformed,
                "the new key belongs to another account; its URL is in the Location header (RFC 8555 §7.3.5)",
            )
            .with_status(409),
            Self::TermsNotAgreed(url) => of(
                ProblemKind::UserActionRequired,
                &format!("the terms of service at {url} have to be agreed to (\"termsOfServiceAgreed\": true)"),
            ),
            Self::Transition(error) => of(ProblemKind::Malformed, &error.to_string()),
            Self::Contended => of(
                ProblemKind::ServerInternal,
                "other requests changed the same resource meanwhile; nothing was done: try again",
            )
            .with_status(503),
            Self::SlowBody => of(
                ProblemKind::Malformed,
                "the body was not sent in time; nothing was done: send it again, whole",
            )
            .with_status(408),
            Self::BrokenBody => of(
                ProblemKind::Malformed,
                "the body broke off; nothing was done: send it again, whole",
            ),
            Self::TooSlow => of(
                ProblemKind::ServerInternal,
                "the request took too long; what it asked for may have been done: look, then try again",
            )
            .with_status(503),
            Self::Maintenance(reason) => {
                let told = match reason.as_str() {
                    "" => String::new(),
                    reason => format!(" ({reason})"),
                };
                let detail = format!(
                    "the service is under maintenance{told} and takes no new orders; what was ordered can be completed. \
                     Try again after the time in Retry-After"
                );
                of(ProblemKind::ServerInternal, &detail).with_status(503)
            }
            Self::Pressed(_) => of(
                ProblemKind::ServerInternal,
                "the service is overloaded and has not begun with the request; try again after the time in Retry-After",
            )
            .with_status(503),
            Self::NotSignedYet => of(
                ProblemKind::ServerInternal,
                "there will be such a CRL in a moment; try again after the time in Retry-After",
            )
            .with_status(503),
            Self::Storage(error) if error.is_passing() => of(
                ProblemKind::ServerInternal,
                "the service cannot do this at the moment; try again after the time in Retry-After",
            )
            .with_status(503),
            Self::Storage(_) | Self::Internal(_) => of(
                ProblemKind::ServerInternal,
                "the service failed; the request id in X-Request-Id leads to the reason in its log",
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let document = self.document();
        let status = document
            .status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if matches!(self, Self::Maintenance(_) | Self::Pressed(_)) {
            // Told by the probes, and counted by their status; there may be thousands.
            tracing::debug!(error = %self, "request refused");
        } else if status.is_server_error() {
            tracing::error!(error = %self, %status, "request failed");
        } else {
            tracing::debug!(error = %self, %status, "request refused");
        }
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(media_type::PROBLEM_JSON),
        );
        if matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            headers.insert(RETRY_AFTER, self.retry_after());
        }
        if let Self::KeyInUse(url) = &self
            && let Ok(url) = HeaderValue::from_str(url)
        {
            headers.insert(LOCATION, url);
        }
        if let Self::TermsNotAgreed(url) = &self
            && let Ok(link) = HeaderValue::from_str(&format!("<{url}>;rel=\"terms-of-service\""))
        {
            headers.append(LINK, link);
        }
        response
    }
}
