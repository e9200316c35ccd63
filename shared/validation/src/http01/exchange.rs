//! One request and its answer, over a connection that is there for this alone.
//!
//! What a server may make us hold is bounded: the headers by [`MAX_HEAD`], the body by [`MAX_BODY`]. How long it may
//! take is the caller's to bound.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::target::Target;

/// How much of a body is looked at, in octets.
pub(super) const MAX_BODY: usize = 128;

/// How much room a status line and headers have, in octets.
const MAX_HEAD: usize = 16 * 1024;

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) location: Option<Vec<u8>>,
    /// The first octets of the body, at most [`MAX_BODY`]; none of a redirect's.
    pub(super) body: Vec<u8>,
    /// Whether the body has more than that.
    pub(super) longer: bool,
    /// Why the body ended before its end, if it did.
    pub(super) broken: Option<String>,
}

impl Answer {
    /// Whether it is a redirect that may be followed; 303 sends elsewhere for something else.
    pub(super) fn is_redirect(&self) -> bool {
        matches!(
            self.status,
            StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT
        )
    }
}

/// Sends a GET and reads the answer, or says what is wrong with it. The connection is closed either way.
pub(super) async fn get<S>(
    stream: S,
    target: &Target,
    user_agent: &HeaderValue,
) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = Request::get(target.path_and_query())
        .header(HOST, target.host_header())
        .header(USER_AGENT, user_agent)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(String::new())
        .map_err(|error| format!("cannot be asked for: {error}"))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| explain(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| explain(&error))?;
        let location = response.headers().get(LOCATION);
        let mut answer = Answer {
            status: response.status(),
            location: location.map(|value| value.as_bytes().to_vec()),
            body: Vec::new(),
            longer: false,
            broken: None,
        };
        if !answer.is_redirect() {
            read_start(response.into_body(), &mut answer).await;
        }
        Ok(answer)
    };
    let mut exchange = pin!(exchange);
    // The connection does the reading and writing; it may be done before the answer is picked up.
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

async fn read_start(mut body: Incoming, answer: &mut Answer) {
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => {
                answer.broken = Some(explain(&error));
                return;
            }
        };
        let room = MAX_BODY - answer.body.len();
        answer.body.extend(data.iter().take(room));
        if data.len() > room {
            answer.longer = true;
            return;
        }
    }
}

fn explain(error: &hyper::Error) -> String {
    let what = if error.is_parse_too_large() {
        "the answer's headers are too large".to_owned()
    } else if error.is_parse() {
        format!("the answer is not HTTP/1: {error}")
    } else if error.is_incomplete_message() {
        "the server closed the connection before the answer was whole".to_owned()
    } else {
        format!("the exchange broke: {error}")
    };
    match error.source() {
        Some(source) => format!("{what} ({source})"),
        None => what,
    }
}
