//! What clients send: JSON, read strictly.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::problem::RestError;
use crate::app::App;
use crate::body;

/// The longest body, in octets: roots as JSON may write them, and everything else with room.
pub const LONGEST_BODY: usize = 256 << 10;

/// A body that was sent.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = RestError;

    async fn from_request(request: Request, _: &App) -> Result<Self, RestError> {
        require_json(request.headers())?;
        let octets = body::read_up_to(LONGEST_BODY, request.into_body()).await?;
        parse(&octets).map(Self)
    }
}

/// That it says to be JSON.
pub fn require_json(headers: &HeaderMap) -> Result<(), RestError> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(RestError::NoJson)
    }
}

/// An object, written as one: serde would take an array of its fields as well.
#[derive(Debug, Clone)]
pub struct Object<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = serde_json::Map::deserialize(deserializer)?;
        let object = T::deserialize(serde_json::Value::Object(fields));
        object.map(Self).map_err(D::Error::custom)
    }
}

/// Reads it. What is wrong is told by the field; its content is not repeated where it may be a secret.
pub fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, RestError> {
    let mut reader = serde_json::Deserializer::from_slice(octets);
    let wrong = |error: serde_path_to_error::Error<serde_json::Error>| {
        let field = error.path().to_string();
        let why = error.into_inner().to_string();
        RestError::Malformed(format!("the body is not what is due here: {field}: {why}"))
    };
    if octets.trim_ascii_start().first() != Some(&b'{') {
        let why = "the body is not what is due here: an object is";
        return Err(RestError::Malformed(why.to_owned()));
    }
    let read = serde_path_to_error::deserialize(&mut reader).map_err(wrong)?;
    let end = reader.end();
    end.map_err(|error| {
        RestError::Malformed(format!("the body does not end where it should: {error}"))
    })?;
    Ok(read)
}

/// What was asked for in the URL.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, RestError> {
        let query = Query::try_from_uri(&parts.uri);
        let Query(asked) = query.map_err(|error| RestError::Malformed(error.body_text()))?;
        Ok(Self(asked))
    }
}

/// What the path names.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Named<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, RestError> {
        let path = axum::extract::Path::from_request_parts(parts, app).await;
        // What is no name or id names nothing.
        let axum::extract::Path(named) =
            path.map_err(|error| RestError::NotFound(error.body_text()))?;
        Ok(Self(named))
    }
}

/// A whole number from `LEAST` to `MOST`, which JSON writes as `7` or as `7.0`.
pub fn whole<'de, D: Deserializer<'de>, const LEAST: u16, const MOST: u16>(
    deserializer: D,
) -> Result<Option<u16>, D::Error> {
    let number = Option::<f64>::deserialize(deserializer)?;
    let whole = number.map(|number| {
        let fits = number.fract() == 0.0 && number >= LEAST.into() && number <= MOST.into();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole, and within the bounds of the type"
        )]
        fits.then_some(number as u16)
    });
    match whole {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(D::Error::custom(format_args!(
            "a whole number from {LEAST} to {MOST} is due"
        ))),
    }
}
