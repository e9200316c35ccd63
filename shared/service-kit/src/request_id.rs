//! A name for each request, by which its log lines, its audit event and its answer are found.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rand::RngCore;

use crate::settings::Networks;

/// The header that carries it, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from a proxy.
const MAX: usize = 64;

/// A request's id: 1 to 64 characters of `A-Z a-z 0-9 . _ -`. Put on each request by
/// [`crate::edge::Edge`]; an extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id that a trusted proxy gave the request, or a new one. What anybody else sends is not
    /// taken over: ids would no longer tell requests apart, and the log would hold what they like.
    pub fn of(
        peer: IpAddr,
        headers: &HeaderMap,
        trusted: &Networks,
        rng: &mut dyn RngCore,
    ) -> Self {
        let given = headers.get(HEADER).filter(|_| trusted.contains(peer));
        given
            .and_then(|value| Self::parse(value.as_bytes()))
            .unwrap_or_else(|| Self::generate(rng))
    }

    fn generate(rng: &mut dyn RngCore) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let mut text = String::with_capacity(32);
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into())
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        if value.is_empty() || value.len() > MAX || !value.iter().all(plain) {
            return None;
        }
        Some(Self(std::str::from_utf8(value).ok()?.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header's value.
    pub(crate) fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let found = parts.extensions.get().cloned();
        found.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn of(peer: &str, given: &str) -> String {
        let trusted = Networks::from(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, given.parse().unwrap());
        let mut rng = StdRng::seed_from_u64(1);
        RequestId::of(peer.parse().unwrap(), &headers, &trusted, &mut rng).to_string()
    }

    #[test]
    fn a_sane_id_of_a_trusted_proxy_is_kept_and_nothing_else() {
        let long = "x".repeat(64);
        for sane in ["a", "3f2a-b.c_D", &long] {
            assert_eq!(of("10.0.0.1", sane), sane);
            assert_ne!(of("192.0.2.1", sane), sane);
        }
        let too_long = "x".repeat(65);
        for bad in ["", "a b", "a\"b", "a{b}", &too_long] {
            let made = of("10.0.0.1", bad);
            assert_eq!(made.len(), 32, "{bad}");
            assert!(made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
        }
    }
}
