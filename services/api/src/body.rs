//! Reading a request's body: no more of it than a JWS may have, and in no more time than a client may take.

use std::time::Duration;

use axum::body::Body;
use certfleet_acme::{JwsError, MAX_BODY};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::error::ApiError;

/// How long a client may take to send it.
const SENT_WITHIN: Duration = Duration::from_secs(10);
/// How much of what is too large is read and thrown away: a client that is still sending when the answer comes may never
/// read it.
const DISCARDED: usize = 4 << 20;

/// The whole body.
pub async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    timeout(SENT_WITHIN, read_all(body))
        .await
        .map_err(|_| ApiError::SlowBody)?
}

async fn read_all(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut body = Limited::new(body, DISCARDED);
    let mut read = Vec::new();
    let mut too_large = false;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let data = frame.into_data().unwrap_or_default();
                too_large |= read.len() + data.len() > MAX_BODY;
                if !too_large {
                    read.extend_from_slice(&data);
                }
            }
            Err(error) if error.is::<LengthLimitError>() => return Err(JwsError::TooLarge.into()),
            Err(_) => return Err(ApiError::BrokenBody),
        }
    }
    if too_large {
        Err(JwsError::TooLarge.into())
    } else {
        Ok(read)
    }
}
