//! What is answered where there is no answer: `meta/v1` Status, as Kubernetes' own API server has it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::wire::ListMeta;

/// An answer that is an error, by Kubernetes' name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// Kubernetes' name for it.
    pub reason: &'static str,
    /// What a person should know.
    pub message: String,
}

impl Refusal {
    /// What was asked is not understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// It is not known who asks.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// Whoever asks may not.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// It cannot be told now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        )
    }

    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            reason,
            message,
        }
    }
}

/// `meta/v1` Status.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "Kubernetes' name for it")]
struct Status<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta,
    status: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = Status {
            kind: "Status",
            api_version: "v1",
            metadata: ListMeta::default(),
            status: "Failure",
            message: &self.message,
            reason: self.reason,
            code: self.status.as_u16(),
        };
        (self.status, Json(status)).into_response()
    }
}
