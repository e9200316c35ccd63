//! Everything that can end a request early, and the one place where it becomes an answer: a problem document (RFC 9457).

use axum::Json;
use axum::response::{IntoResponse, Response};
use certfleet_acme::JwsError;
use certfleet_data_kit::Pressed;
use certfleet_domain::Permission;
use certfleet_management::Refused;
use certfleet_storage::{StorageError, VaultError};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::error::ApiError;

/// How long a client is asked to wait while the database is electing, in seconds.
const RETRY_AFTER_OUTAGE: u64 = 3;

/// Why a request ends early.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The request is not what is due here.
    #[error("{0}")]
    Malformed(String),
    /// No token that counts was shown.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The token does not let its bearer do this.
    #[error("the token lacks the right {0:?}")]
    Forbidden(Permission),
    /// There is none, or none that the bearer gets to see.
    #[error("{0}")]
    NotFound(String),
    /// The method does not go with the resource.
    #[error("the method does not go with this resource")]
    MethodNotAllowed,
    /// The client took too long to send its request.
    #[error("the body was not sent in time")]
    SlowBody,
    /// It does not go together with what there is.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else was faster with what it goes with.
    #[error("somebody else was faster")]
    Meanwhile,
    /// It is not the version that was meant.
    #[error("it was changed meanwhile")]
    OtherVersion,
    /// The body is too long.
    #[error("the body is longer than 256 KiB")]
    TooLarge,
    /// The body is no JSON, by its header.
    #[error("application/json is due")]
    NoJson,
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The request took longer than any may.
    #[error("not done within the ceiling for requests")]
    TooSlow,
    /// Connections to the database are short: nothing was begun.
    #[error("{0}")]
    Pressed(Pressed),
    /// The database is in trouble.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The secrets are.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

/// What is wrong (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says which.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What was wrong, and what to do.
    detail: String,
}

/// What is answered instead of what was asked for.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "it stands for the problems in the OpenAPI document"
)]
pub enum Problems {
    /// The request is not what is due here.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// No token that counts was shown.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
    /// The token does not let its bearer do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Problem),
    /// There is none, or none that the bearer gets to see.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Problem),
    /// The body was not sent in time.
    #[response(status = 408, content_type = "application/problem+json")]
    SlowBody(#[to_schema] Problem),
    /// It does not go together with what there is.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Problem),
    /// It is not the version that `If-Match` names.
    #[response(status = 412, content_type = "application/problem+json")]
    OtherVersion(#[to_schema] Problem),
    /// The body is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The body is no JSON, by its header.
    #[response(status = 415, content_type = "application/problem+json")]
    NoJson(#[to_schema] Problem),
    /// What was asked for makes no sense.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// The service failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(#[to_schema] Problem),
    /// It cannot be done at the moment: after the time in `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

impl From<Refused> for RestError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(_) => Self::Invalid(refused.to_string()),
            // Whatever is in the path was found before: this is what the body names.
            Refused::NotFound { .. } | Refused::Conflict(_) | Refused::Before => {
                Self::Conflict(refused.to_string())
            }
            Refused::Meanwhile => Self::OtherVersion,
            Refused::Storage(error) => Self::Storage(error),
            Refused::Vault(error) => Self::Vault(error),
        }
    }
}

impl From<ApiError> for RestError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Jws(JwsError::TooLarge) => Self::TooLarge,
            ApiError::SlowBody => Self::SlowBody,
            ApiError::BrokenBody => Self::Malformed(
                "the body broke off; nothing was done: send it again, whole".to_owned(),
            ),
            ApiError::Storage(error) => Self::Storage(error),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl RestError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::Meanwhile => StatusCode::CONFLICT,
            Self::OtherVersion => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Storage(error) | Self::Vault(VaultError::Storage(error))
                if error.is_passing() =>
            {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::TooSlow | Self::Pressed(_) | Self::Vault(VaultError::NotAtHand(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Storage(_) | Self::Vault(_) | Self::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// What its client is told; nothing of the inside.
    fn detail(&self) -> String {
        let told = match self {
            Self::Malformed(why)
            | Self::NotFound(why)
            | Self::Conflict(why)
            | Self::Invalid(why) => return why.clone(),
            Self::Unauthorized(why) => why,
            Self::Forbidden(Permission::Look) => "the token does not let its bearer look at this",
            Self::Forbidden(Permission::Audit) => "the role auditor is due, or admin",
            Self::Forbidden(Permission::Operate) => {
                "the role operator is due, or admin, in this project"
            }
            Self::Forbidden(Permission::Administer) => {
                "the role admin is due, in this project, or everywhere for what belongs to none"
            }
            Self::MethodNotAllowed => {
                "the method does not go with this resource: Allow says which do"
            }
            Self::SlowBody => {
                "the body was not sent in time; nothing was done: send it again, whole"
            }
            Self::Meanwhile => {
                "somebody else has changed it at this moment: nothing was done; try again"
            }
            Self::OtherVersion => {
                "it was changed meanwhile; nothing was done: get it anew, and send its ETag as If-Match"
            }
            Self::TooLarge => "the body is longer than 256 KiB; nothing was done",
            Self::NoJson => "Content-Type: application/json is due; nothing was done",
            Self::TooSlow => {
                "the request took too long; what it asked for may have been done: look, then try again"
            }
            Self::Pressed(_) => {
                "the service is overloaded and has not begun with the request; try again after the time in Retry-After"
            }
            Self::Storage(_) | Self::Vault(_) | Self::Internal(_) => {
                if self.status() == StatusCode::SERVICE_UNAVAILABLE {
                    "the service cannot do this at the moment; try again after the time in Retry-After"
                } else {
                    "the service failed; the request id in X-Request-Id leads to the reason in its log"
                }
            }
        };
        told.to_owned()
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "request failed");
        } else {
            tracing::debug!(error = %self, %status, "request refused");
        }
        let problem = Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, kind);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = match &self {
                Self::Pressed(pressed) => pressed.pressure.retry_after().map(|wait| wait.as_secs()),
                _ => None,
            };
            let wait = HeaderValue::from(wait.unwrap_or(RETRY_AFTER_OUTAGE));
            headers.insert(RETRY_AFTER, wait);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
