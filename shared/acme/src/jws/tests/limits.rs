//! What is refused before or beside the JWS: media type, size, encoding; and how much of it is told back.

use certfleet_domain::ProblemKind;

use super::request::{Request, refusal};
use crate::jws::{Jws, JwsError, MAX_BODY};
use crate::media_type;

#[test]
fn what_is_not_utf_8_is_refused() {
    let request = Request::generate();
    let mut body = request.with_member("unknown", "x?x".into()).into_bytes();
    let at = body.iter().position(|octet| *octet == b'?').unwrap();
    body[at] = 0xff;
    let error = Jws::parse(&body).unwrap_err();
    assert!(matches!(error, JwsError::Body(_)), "{error:?}");
    assert_eq!(error.kind(), ProblemKind::Malformed);
}

#[test]
fn what_is_too_large_is_refused_unread() {
    let request = Request::generate();
    let body = request.with(&[]);
    let padded = |length: usize| " ".repeat(length - body.len()) + &body;
    assert!(Jws::parse(padded(MAX_BODY).as_bytes()).is_ok());
    let error = Jws::parse(padded(MAX_BODY + 1).as_bytes()).unwrap_err();
    assert_eq!(error, JwsError::TooLarge);
    assert_eq!(
        (error.kind(), error.status()),
        (ProblemKind::Malformed, 413)
    );
}

#[test]
fn other_media_types_are_refused() {
    for good in [
        "application/jose+json",
        "Application/JOSE+json",
        "application/jose+json; charset=utf-8",
    ] {
        assert_eq!(media_type::require_jose_json(Some(good)), Ok(()), "{good}");
    }
    for bad in [
        None,
        Some(""),
        Some("application/json"),
        Some("application/jose"),
        Some("application/jose+jsonx"),
    ] {
        let error = media_type::require_jose_json(bad).unwrap_err();
        assert_eq!(
            (error.kind(), error.status()),
            (ProblemKind::Malformed, 415),
            "{bad:?}"
        );
    }
}

#[test]
fn no_detail_repeats_more_than_a_little_of_the_request() {
    let request = Request::generate();
    let long = "a".repeat(30_000);
    for name in ["alg", "url"] {
        let body = request.with(&[(name, long.as_str().into())]);
        let detail = refusal(&request, &body).to_string();
        assert!(detail.len() < 500, "{name}: {}", detail.len());
    }
}
