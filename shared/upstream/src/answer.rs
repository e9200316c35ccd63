//! What an authority answers, read with care: it is a stranger.

use certfleet_acme::ProblemDocument;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use serde::de::DeserializeOwned;
use time::{Duration, OffsetDateTime};

use crate::error::{UpstreamError, away};

/// The largest body, in octets: a chain of ten RSA certificates has 20 KiB.
const LARGEST: usize = 1 << 20;
/// The longest part of a strange answer that is shown.
const SHOWN: usize = 200;

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(mut response: Response, url: &str) -> Result<Self, UpstreamError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| away(url, &error))? {
            if body.len() + chunk.len() > LARGEST {
                let why = format!("{url}: more than {LARGEST} octets");
                return Err(UpstreamError::Strange(why));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The problem that it tells of, if it does.
    pub(crate) fn problem(&self) -> Option<ProblemDocument> {
        if self.status.is_success() {
            return None;
        }
        let problem: ProblemDocument = serde_json::from_slice(&self.body).ok()?;
        let status = problem.status.unwrap_or(self.status.as_u16());
        Some(problem.with_status(status))
    }

    /// A success, or why there is none.
    pub(crate) fn success(self, url: &str) -> Result<Self, UpstreamError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let told = self.problem();
        let why = match &told {
            Some(problem) => format!("{} ({})", problem.detail, problem.type_urn),
            None => format!("{url}: {}", self.status),
        };
        Err(match (self.status, told) {
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
                UpstreamError::Later {
                    why,
                    after: self.retry_after(),
                }
            }
            (status, _) if status.is_server_error() => UpstreamError::Away(why),
            (_, Some(problem)) => UpstreamError::Refused(Box::new(problem)),
            (StatusCode::NOT_FOUND, None) => UpstreamError::NotFound(url.to_owned()),
            (_, None) => UpstreamError::Strange(format!("{why}: {}", self.shown())),
        })
    }

    /// How long to wait before one asks again (RFC 9110 §10.2.3), if it says so.
    #[expect(
        clippy::disallowed_methods,
        reason = "a date in a header is to be held against the machine's clock, as the sender meant it"
    )]
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER)?.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(Duration::seconds(seconds.into()));
        }
        let at = OffsetDateTime::from(httpdate::parse_http_date(text).ok()?);
        Some((at - OffsetDateTime::now_utc()).max(Duration::ZERO))
    }

    pub(crate) fn location(&self) -> Result<String, UpstreamError> {
        self.header(LOCATION)
            .map(str::to_owned)
            .ok_or_else(|| UpstreamError::Strange("an answer has no Location".to_owned()))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, UpstreamError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let shown = self.shown();
            UpstreamError::Strange(format!("{error}: {shown}"))
        })
    }

    pub(crate) fn text(self) -> Result<String, UpstreamError> {
        String::from_utf8(self.body)
            .map_err(|_| UpstreamError::Strange("an answer is no text".to_owned()))
    }

    fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let cut: String = text.chars().take(SHOWN).collect();
        cut.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
