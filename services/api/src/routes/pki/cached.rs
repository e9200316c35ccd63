//! Answers that caches between us and whoever asks may keep, for a moment.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use certfleet_domain::Timestamp;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use time::Duration;

/// For how long caches may give it out unasked: a revocation is to be seen within a minute.
const FRESH: Duration = Duration::seconds(60);

/// Something signed, with the time from which and the time until which it counts.
pub struct Cached {
    /// Its media type.
    pub content_type: &'static str,
    /// Its octets.
    pub body: Vec<u8>,
    /// What tells it from what is had at this URL before and after it.
    pub tag: String,
    /// From when on it counts.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Cached {
    /// The answer to a request with these headers, as RFC 5019 §6.2 has it: without the octets, if the asker has them.
    pub fn answer(self, now: Timestamp, asked: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", self.tag);
        let same = asked
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|tags| tags.to_str().ok())
            .flat_map(|tags| tags.split(','))
            .any(|known| matches!(known.trim(), "*") || known.trim() == tag);
        let fresh = FRESH.min(self.until - now).max(Duration::ZERO);
        let control = format!(
            "max-age={}, public, no-transform, must-revalidate",
            fresh.whole_seconds()
        );
        let mut response = if same {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Response::new(Body::from(self.body))
        };
        let headers = response.headers_mut();
        put(headers, ETAG, &tag);
        put(headers, CACHE_CONTROL, &control);
        put(headers, EXPIRES, &http_date(now + fresh));
        put(headers, LAST_MODIFIED, &http_date(self.since));
        put(headers, CONTENT_TYPE, self.content_type);
        response
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// An IMF-fixdate (RFC 9110 §5.6.7).
fn http_date(at: Timestamp) -> String {
    httpdate::fmt_http_date(at.into())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn answer(asked: &HeaderMap, now: Timestamp) -> Response {
        let cached = Cached {
            content_type: "application/pkix-crl",
            body: vec![1, 2, 3],
            tag: "7".to_owned(),
            since: datetime!(2027-01-01 12:00 UTC),
            until: datetime!(2027-01-05 12:00 UTC),
        };
        cached.answer(now, asked)
    }

    #[test]
    fn caches_keep_it_for_a_minute_and_never_beyond_its_time() {
        let answered = answer(&HeaderMap::new(), datetime!(2027-01-02 12:00 UTC));
        assert_eq!(answered.status(), StatusCode::OK);
        let headers = answered.headers();
        assert_eq!(headers[ETAG], "\"7\"");
        assert_eq!(headers[LAST_MODIFIED], "Fri, 01 Jan 2027 12:00:00 GMT");
        assert_eq!(headers[EXPIRES], "Sat, 02 Jan 2027 12:01:00 GMT");
        let control = headers[CACHE_CONTROL].to_str().unwrap();
        assert!(control.starts_with("max-age=60,"), "{control}");
        let last = answer(&HeaderMap::new(), datetime!(2027-01-05 11:59:50 UTC));
        let control = last.headers()[CACHE_CONTROL].to_str().unwrap();
        assert!(control.starts_with("max-age=10,"), "{control}");
    }

    #[test]
    fn whoever_has_it_gets_no_octets() {
        let now = datetime!(2027-01-02 12:00 UTC);
        for (tags, status) in [
            ("\"7\"", StatusCode::NOT_MODIFIED),
            ("\"6\", \"7\"", StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"6\"", StatusCode::OK),
            ("7", StatusCode::OK),
        ] {
            let mut asked = HeaderMap::new();
            asked.insert(IF_NONE_MATCH, HeaderValue::from_static(tags));
            assert_eq!(answer(&asked, now).status(), status, "{tags}");
        }
    }
}
