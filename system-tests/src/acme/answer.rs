//! An answer, read to its end.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use certfleet_acme::{ProblemDocument, media_type};
use certfleet_domain::ProblemKind;
use http::header::{CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// Reads it to its end.
    pub async fn read(response: reqwest::Response) -> Result<Self> {
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }

    /// The same, if it has this status.
    pub fn expect(self, status: u16) -> Result<Self> {
        let due = self.status == status;
        ensure!(
            due,
            "{} where {status} is due: {}",
            self.status,
            self.text()
        );
        Ok(self)
    }

    /// The problem document, if the answer is one of this status and kind, made as RFC 7807 and RFC 8555 §6.7 have it,
    /// with a sentence that helps.
    pub fn expect_problem(&self, status: u16, kind: ProblemKind) -> Result<ProblemDocument> {
        let problem = self.problem()?;
        ensure!(
            self.status == status && problem.kind() == Some(kind),
            "{} {} where {status} {} is due: {}",
            self.status,
            problem.type_urn,
            kind.name(),
            problem.detail
        );
        ensure!(
            problem.status == Some(status),
            "status in the body: {:?}",
            problem.status
        );
        ensure!(problem.detail.len() > 20, "detail: {:?}", problem.detail);
        Ok(problem)
    }

    /// The problem document.
    pub fn problem(&self) -> Result<ProblemDocument> {
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        ensure!(
            content_type == media_type::PROBLEM_JSON,
            "{} {content_type:?} where a problem is due: {}",
            self.status,
            self.text()
        );
        self.json()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: {}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Location`, which has to be there.
    pub fn location(&self) -> Result<String> {
        let location = self.header(LOCATION.as_str()).context("no Location")?;
        Ok(location.to_owned())
    }

    /// `Replay-Nonce`.
    pub fn nonce(&self) -> Option<&str> {
        self.header("replay-nonce")
    }

    /// How long `Retry-After` asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header(RETRY_AFTER.as_str())?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The targets of the links of this relation (RFC 8288).
    pub fn links(&self, relation: &str) -> Vec<String> {
        let due = format!("rel=\"{relation}\"");
        self.headers
            .get_all(LINK)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter_map(|value| value.strip_prefix('<')?.split_once('>'))
            .filter(|(_, parameters)| parameters.split(';').any(|one| one.trim() == due))
            .map(|(target, _)| target.to_owned())
            .collect()
    }
}
