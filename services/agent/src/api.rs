//! The conversation with the API.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use certfleet_agent_protocol::{
    Ask, CERTIFICATE, DELIVERIES, Delivery, ENROL, Enrol, LONGEST_WAIT, NextCertificate, REPORTS,
    Report, Reports,
};
use certfleet_outgoing::Trust;
use http::StatusCode;
use reqwest::{Client, Response};
use serde::{Deserialize, Serialize};

/// How long an answer may take that is held back for nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// The longest part of a strange answer that is shown.
const SHOWN: usize = 200;
/// Which build asks.
const SOFTWARE: &str = concat!("certfleet-agent/", env!("CARGO_PKG_VERSION"));

/// The API, as the agent reaches it under one identity.
pub struct Api {
    http: Client,
    server: String,
}

/// What the API says that does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// It is not reached.
    #[error("the API is not reached: {0}")]
    Away(String),
    /// It refuses.
    #[error("the API refuses: {0}")]
    Refused(String),
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Api {
    /// Under the identity in this file, trusting these roots or those of the system.
    pub fn new(server: &str, roots: Option<PathBuf>, identity: PathBuf) -> anyhow::Result<Self> {
        let trust = Trust {
            roots,
            identity: Some((identity.clone(), identity)),
        };
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .connect_timeout(CONNECTS_WITHIN)
            .user_agent(SOFTWARE)
            .tls_backend_preconfigured(trust.config()?)
            .build()
            .context("the connection to the API")?;
        Ok(Self {
            http,
            server: server.trim_end_matches('/').to_owned(),
        })
    }

    /// Exchanges a token for being known by the identity's certificate.
    pub async fn enrol(&self, wish: &Enrol) -> Result<(), ApiError> {
        self.post(ENROL, wish, Duration::ZERO).await.map(drop)
    }

    /// Announces the certificate that is to be shown next.
    pub async fn announce(&self, next: &NextCertificate) -> Result<(), ApiError> {
        self.post(CERTIFICATE, next, Duration::ZERO).await.map(drop)
    }

    /// What is due on this host; waits for something, if it is to.
    pub async fn deliveries(&self, waits: bool) -> Result<Delivery, ApiError> {
        let wait = if waits { LONGEST_WAIT } else { 0 };
        let ask = Ask {
            wait,
            software: SOFTWARE.to_owned(),
        };
        let answer = self
            .post(DELIVERIES, &ask, Duration::from_secs(wait.into()))
            .await?;
        let body = answer.bytes().await.map_err(|error| away(&error))?;
        serde_json::from_slice(&body)
            .map_err(|error| ApiError::Refused(format!("its answer makes no sense: {error}")))
    }

    /// Says what became of it.
    pub async fn report(&self, reports: Vec<Report>) -> Result<(), ApiError> {
        self.post(REPORTS, &Reports { reports }, Duration::ZERO)
            .await
            .map(drop)
    }

    async fn post(
        &self,
        path: &str,
        message: &impl Serialize,
        held_back: Duration,
    ) -> Result<Response, ApiError> {
        let url = format!("{}{path}", self.server);
        let request = self
            .http
            .post(&url)
            .json(message)
            .timeout(ANSWERS_WITHIN + held_back);
        let answer = request.send().await.map_err(|error| away(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.text().await.unwrap_or_default();
        let told = match serde_json::from_str::<Problem>(&body) {
            Ok(problem) => problem.detail,
            Err(_) => format!("{status}: {}", body.chars().take(SHOWN).collect::<String>()),
        };
        Err(
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                ApiError::Away(told)
            } else {
                ApiError::Refused(told)
            },
        )
    }
}

/// The whole of it: the innermost says what is wrong.
fn away(error: &reqwest::Error) -> ApiError {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        told = format!("{told}: {inner}");
        source = inner.source();
    }
    ApiError::Away(told)
}
