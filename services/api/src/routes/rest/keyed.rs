//! What is made, and what is changed: once, though the request comes twice, and nothing over what somebody else has done.

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use certfleet_management::{Plan, Refused};
use certfleet_storage::{KeptAnswer, Unit};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::Duration;

use super::bearer::Bearer;
use super::body::{LONGEST_BODY, parse, require_json};
use super::problem::RestError;
use crate::app::App;
use crate::body;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// For so long an answer is kept.
const KEPT_FOR: Duration = Duration::DAY;
/// The longest key.
const LONGEST: usize = 100;

/// What is to be made, and the key under which that is done once.
pub struct Wish<T> {
    /// What was sent.
    pub body: T,
    key: Option<String>,
    request: String,
}

impl<T: DeserializeOwned> FromRequest<App> for Wish<T> {
    type Rejection = RestError;

    async fn from_request(request: Request, _: &App) -> Result<Self, RestError> {
        require_json(request.headers())?;
        let key = key_of(request.headers())?;
        let path = request.uri().path().to_owned();
        let octets = body::read_up_to(LONGEST_BODY, request.into_body()).await?;
        let body = parse(&octets)?;
        let mut asked = path.into_bytes();
        asked.push(b'\n');
        asked.extend(&octets);
        let request = hex::encode(digest(&SHA256, &asked));
        Ok(Self { body, key, request })
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, RestError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=LONGEST).contains(&key.len()) && key.bytes().all(plain));
    let wrong = || {
        let why = format!("Idempotency-Key: 1 to {LONGEST} letters, digits, - or _ are due");
        RestError::Malformed(why)
    };
    Ok(Some(key.ok_or_else(wrong)?.to_owned()))
}

/// The request apart from its body, which has gone into the plan.
pub struct Once {
    key: Option<String>,
    request: String,
}

impl<T> Wish<T> {
    /// The body, and what makes the request one that is done once.
    pub fn split(self) -> (T, Once) {
        let (key, request) = (self.key, self.request);
        (self.body, Once { key, request })
    }
}

impl Once {
    /// What was answered to the same request before, if it was.
    pub async fn before(&self, app: &App, bearer: &Bearer) -> Result<Option<Response>, RestError> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let kept = app
            .store
            .access
            .kept_answer(&of_bearer(bearer, key))
            .await?;
        match kept {
            None => Ok(None),
            Some(kept) if kept.request == self.request => Ok(Some(again(kept)?)),
            Some(_) => {
                let why = "another request was made under this Idempotency-Key; nothing was done";
                Err(RestError::Conflict(why.to_owned()))
            }
        }
    }

    /// Has it made, and says where it is. `of` gives its path and how it is shown.
    pub async fn make<T, V: Serialize>(
        &self,
        app: &App,
        bearer: &Bearer,
        plan: Plan<T>,
        of: impl FnOnce(&T) -> (String, V),
    ) -> Result<Response, RestError> {
        let (path, view) = of(&plan.made);
        let body =
            serde_json::to_string(&view).map_err(|error| RestError::Internal(error.to_string()))?;
        let answer = KeptAnswer {
            request: self.request.clone(),
            status: StatusCode::CREATED.as_u16(),
            location: Some(app.url.under(&format!("{}{path}", super::BASE))),
            body,
        };
        let beside = match &self.key {
            None => Unit::default(),
            Some(key) => {
                let until = app.now() + KEPT_FOR;
                let key = of_bearer(bearer, key);
                app.store.access.keep_answer(&key, &answer, until)
            }
        };
        let done = plan.carry_out_beside(&app.store, &bearer.sender, beside);
        match done.await {
            Ok(_) => again(answer),
            // The same request may have been made at the same moment: then it is what this one ran into.
            Err(refused @ (Refused::Before | Refused::Conflict(_) | Refused::Meanwhile)) => {
                let before = self.before(app, bearer).await?;
                before.ok_or_else(|| match refused {
                    Refused::Meanwhile => RestError::Meanwhile,
                    refused => refused.into(),
                })
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

/// No bearer meets another's keys.
fn of_bearer(bearer: &Bearer, key: &str) -> String {
    format!("{}/{key}", bearer.token())
}

fn again(kept: KeptAnswer) -> Result<Response, RestError> {
    let internal = |why: String| RestError::Internal(why);
    let status = StatusCode::from_u16(kept.status).map_err(|error| internal(error.to_string()))?;
    let mut response = (status, kept.body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(location) = kept.location {
        let location = HeaderValue::from_str(&location);
        headers.insert(
            LOCATION,
            location.map_err(|error| internal(error.to_string()))?,
        );
    }
    Ok(response)
}

/// Which version of a thing is to be changed (RFC 9110 §13.1.1): whoever says nothing means what it is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// Whatever it is by now.
    Any,
    /// This one.
    Version(i64),
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, RestError> {
        let Some(sent) = parts.headers.get(IF_MATCH) else {
            return Ok(Self::Any);
        };
        match sent.to_str().map(str::trim) {
            Ok("*") => Ok(Self::Any),
            Ok(tag) => {
                let version = tag
                    .strip_prefix("\"v")
                    .and_then(|tag| tag.strip_suffix('"'));
                let version = version.and_then(|version| version.parse().ok());
                // A tag that is none of ours is of another version.
                version.map(Self::Version).ok_or(RestError::OtherVersion)
            }
            Err(_) => Err(RestError::OtherVersion),
        }
    }
}

impl IfMatch {
    /// Refuses another version than the one that was meant.
    pub fn require(self, version: i64) -> Result<(), RestError> {
        match self {
            Self::Any => Ok(()),
            Self::Version(meant) if meant == version => Ok(()),
            Self::Version(_) => Err(RestError::OtherVersion),
        }
    }

    /// Carries out a plan for the thing as it was read. `None` if somebody else was faster, and whatever it is by now is meant: to be
    /// read and planned anew.
    pub async fn attempt<T>(
        self,
        app: &App,
        bearer: &Bearer,
        plan: Plan<T>,
    ) -> Result<Option<T>, RestError> {
        match plan.carry_out(&app.store, &bearer.sender).await {
            Ok(made) => Ok(Some(made)),
            Err(Refused::Meanwhile) if self == Self::Any => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }
}

/// A thing, with its version.
pub fn tagged(version: i64, view: impl Serialize) -> Response {
    let mut response = Json(view).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"v{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
