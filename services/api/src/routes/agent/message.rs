//! What agents send: JSON, read strictly.

use axum::extract::{FromRequest, Request};
use certfleet_domain::ProblemKind;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::body;
use crate::error::ApiError;

/// A message that was sent.
pub struct Message<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Message<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let body = body::read(request.into_body()).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            // Where, and no content: there may be a token in it.
            let (line, column) = (error.line(), error.column());
            let detail = format!("the message is not what is due here (line {line}, column {column}): is the agent of this build?");
            ApiError::new(ProblemKind::Malformed, detail)
        })
    }
}
