//! Reading a request's body: no more of it than there may be, and in no more time than a client may take.

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

/// The whole body, if it is no longer than a JWS may be.
pub async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    read_up_to(MAX_BODY, body).await
}

/// The whole body, of so many octets at the most.
pub async fn read_up_to(most: usize, body: Body) -> Result<Vec<u8>, ApiError> {
    timeout(SENT_WITHIN, read_all(most, body))
        .await
        .map_err(|_| ApiError::SlowBody)?
}

async fn read_all(most: usize, body: Body) -> Result<Vec<u8>, ApiError> {
    let mut body = Limited::new(body, DISCARDED);
    let mut read = Vec::new();
    let mut too_large = false;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let data = frame.into_data().unwrap_or_default();
                too_large |= read.len() + data.len() > most;
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
