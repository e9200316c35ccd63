//! `telemetry`: where traces go.

use serde::Deserialize;
use url::Url;

use super::section::Section;
use super::text::{FromText, text};

/// Where traces go, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// The OTLP receiver (HTTP, protobuf), without `/v1/traces`; without one, no traces are taken.
    pub otlp_endpoint: Option<OtlpEndpoint>,
    /// Which part of the traces that begin here is taken.
    pub sample_ratio: Ratio,
}

/// The URL of an OTLP receiver, as OpenTelemetry's `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct OtlpEndpoint(#[serde(deserialize_with = "text")] Base);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Base(String);

impl FromText for Base {
    /// The error does not repeat it: there may be a password in it.
    fn from_text(text: &str) -> Result<Self, String> {
        let plain = |url: &Url| {
            matches!(url.scheme(), "https" | "http")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        let url = Url::parse(text).ok().filter(plain).ok_or(
            "not the URL of an OTLP receiver: an https or http one such as http://otel-collector:4318 is due, without \
             user, password, query or fragment",
        )?;
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl OtlpEndpoint {
    /// The URL that spans are posted to.
    pub fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.0.0)
    }
}

/// A part of a whole: a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Ratio(#[serde(deserialize_with = "text")] Part);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Part(f64);

// A number between 0 and 1 equals itself.
impl Eq for Ratio {}

impl Default for Ratio {
    fn default() -> Self {
        Self(Part(1.0))
    }
}

impl Ratio {
    /// The number.
    pub fn get(self) -> f64 {
        self.0.0
    }
}

impl FromText for Part {
    fn from_text(text: &str) -> Result<Self, String> {
        let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
        part.map(Self)
            .ok_or_else(|| format!("{text:?} is not a number from 0 to 1"))
    }
}

impl Section for Telemetry {
    const NAME: &'static str = "telemetry";
}
