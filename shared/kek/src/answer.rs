//! What services answer, and what is said of it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certfleet_outgoing::Trust;
use certfleet_secrets::{DataKey, KekError};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use crate::open::KekOpenError;

/// A service that needs longer is away. A renewed lease lasts longer than three of these.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Longer explanations are cut.
const LONGEST_EXPLANATION: usize = 200;

/// A client that follows no redirects: who it shows its token to is who was named.
pub(crate) fn client(url: &Url, trust: &Trust) -> Result<Client, KekOpenError> {
    let tls = match url.scheme() {
        "https" => trust.config()?,
        _ => Trust::nobody()?,
    };
    let client = Client::builder()
        .redirect(Policy::none())
        .timeout(ANSWERS_WITHIN)
        .tls_backend_preconfigured(tls);
    Ok(client.build()?)
}

/// It cannot be asked.
pub(crate) fn away(error: &reqwest::Error) -> KekError {
    // The outermost sentence is that a request failed, and the innermost why.
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let reason = if error.is_timeout() {
        format!("no answer within {} s", ANSWERS_WITHIN.as_secs())
    } else {
        reason.to_string()
    };
    KekError::Unavailable(reason)
}

/// An explanation, on one line and not too long.
pub(crate) fn explained(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_EXPLANATION).collect();
    cut.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An answer that says what it should; anything else is not the service.
pub(crate) fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, KekError> {
    serde_json::from_slice(octets).map_err(|_| {
        KekError::Unavailable("the answer is not one of this service: is the URL right?".to_owned())
    })
}

/// A data key in base64, wiped when it is dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(crate) struct Base64Key(Zeroizing<String>);

impl From<String> for Base64Key {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Base64Key {
    pub(crate) fn of(key: &DataKey) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(key.expose()))
    }

    pub(crate) fn read(&self) -> Result<DataKey, KekError> {
        let octets = STANDARD.decode(self.0.as_bytes()).map(Zeroizing::new);
        let octets = octets.map_err(|_| KekError::Refused)?;
        DataKey::from_bytes(&octets).ok_or(KekError::Refused)
    }
}
