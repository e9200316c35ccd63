//! Answers HTTP-01 challenges (RFC 8555 §8.3) for any host, from what the flows have registered.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Wait after a connection could not be taken: descriptors have run out, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const PREFIX: &str = "/.well-known/acme-challenge/";

/// The key authorizations that are served at the moment, by token.
#[derive(Clone, Default)]
pub(crate) struct KeyAuthorizations(Arc<Mutex<HashMap<String, String>>>);

/// Keeps a key authorization served; dropping it ends that.
pub(crate) struct Served {
    token: String,
    all: KeyAuthorizations,
}

impl KeyAuthorizations {
    /// Serves `key_authorization` under `token` until the result is dropped.
    #[must_use = "dropping it ends the serving"]
    pub(crate) fn serve(&self, token: String, key_authorization: String) -> Served {
        self.with(|map| map.insert(token.clone(), key_authorization));
        Served {
            token,
            all: self.clone(),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.with(|map| map.is_empty())
    }

    fn find(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(PREFIX)?;
        self.with(|map| map.get(token).cloned())
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, String>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.all.with(|map| map.remove(&self.token));
    }
}

/// Listens on `address` and answers from `answers` until the program ends. Gives the address it has.
pub(crate) async fn start(address: SocketAddr, answers: KeyAuthorizations) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("the HTTP-01 responder cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let answers = answers.clone();
            let service = service_fn(move |request| {
                let answer = answer(&answers, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(address)
}

fn answer(answers: &KeyAuthorizations, request: &Request<Incoming>) -> Response<String> {
    let found = answers.find(request.uri().path());
    let status = match found {
        Some(_) => StatusCode::OK,
        None => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(found.unwrap_or_default());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_served_until_its_guard_is_dropped() {
        let answers = KeyAuthorizations::default();
        let served = answers.serve("tok".to_owned(), "tok.print".to_owned());
        let path = "/.well-known/acme-challenge/tok";
        assert_eq!(answers.find(path).as_deref(), Some("tok.print"));
        assert_eq!(answers.find("/.well-known/acme-challenge/other"), None);
        assert_eq!(answers.find("/tok"), None);
        drop(served);
        assert_eq!(answers.find(path), None);
    }
}
