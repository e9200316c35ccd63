//! An authority's server: its directory, and connections and nonces that all requests share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use certfleet_acme::messages::Directory;
use certfleet_acme::{KeyReference, SigningKey, media_type};
use certfleet_domain::{ProblemKind, Upstream};
use certfleet_outgoing::Trust;
use http::header::CONTENT_TYPE;
use reqwest::Client;
use reqwest::redirect::Policy;

use crate::answer::Answer;
use crate::error::{UpstreamError, away};

/// The longest that an authority takes for an answer. Ours holds some back for five seconds, until a worker is done.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// So often a request is sent again with a fresh nonce because the server did not like its own (RFC 8555 §6.5).
const NONCES: usize = 5;
/// So many nonces are kept; older ones are likely to have expired.
const KEPT: usize = 32;
const REPLAY_NONCE: &str = "replay-nonce";
/// Who asks, as RFC 8555 §6.1 wants it said.
const USER_AGENT: &str = concat!("certfleet/", env!("CARGO_PKG_VERSION"));

/// An authority's server.
pub struct Server {
    http: Client,
    directory: Directory,
    nonces: Mutex<Vec<String>>,
}

impl Server {
    /// Reads its directory.
    ///
    /// # Errors
    /// It is away, or is no ACME server.
    pub async fn open(upstream: &Upstream) -> Result<Self, UpstreamError> {
        let tls = match &upstream.roots {
            Some(roots) => Trust::only(roots)?,
            None => Trust::default().config()?,
        };
        let url = &upstream.directory;
        let http = Client::builder()
            .redirect(Policy::limited(3))
            .timeout(ANSWERS_WITHIN)
            .user_agent(USER_AGENT)
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| away(url, &error))?;
        let response = http.get(url).send().await;
        let response = response.map_err(|error| away(url, &error))?;
        let directory = Answer::read(response, url).await?.success(url)?.json()?;
        Ok(Self {
            http,
            directory,
            nonces: Mutex::default(),
        })
    }

    /// What it has.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// A request that nobody signs.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, UpstreamError> {
        let response = self.http.get(url).send().await;
        let response = response.map_err(|error| away(url, &error))?;
        Answer::read(response, url).await?.success(url)
    }

    /// A signed request. An empty payload is POST-as-GET.
    pub(crate) async fn post(
        &self,
        key: &SigningKey,
        by: &KeyReference,
        url: &str,
        payload: &[u8],
    ) -> Result<Answer, UpstreamError> {
        let mut tries = 0;
        loop {
            let nonce = self.nonce().await?;
            let body = key.sign_request(by, Some(&nonce), url, payload)?;
            let request = self
                .http
                .post(url)
                .header(CONTENT_TYPE, media_type::JOSE_JSON)
                .body(body);
            let response = request.send().await.map_err(|error| away(url, &error))?;
            let answer = Answer::read(response, url).await?;
            if let Some(nonce) = answer.header(REPLAY_NONCE) {
                self.keep(nonce.to_owned());
            }
            tries += 1;
            let bad_nonce = answer
                .problem()
                .is_some_and(|problem| problem.kind() == Some(ProblemKind::BadNonce));
            if !bad_nonce || tries == NONCES {
                return answer.success(url);
            }
        }
    }

    async fn nonce(&self) -> Result<String, UpstreamError> {
        let kept = self.nonces().pop();
        if let Some(nonce) = kept {
            return Ok(nonce);
        }
        let url = &self.directory.new_nonce;
        let response = self.http.head(url).send().await;
        let response = response.map_err(|error| away(url, &error))?;
        let answer = Answer::read(response, url).await?.success(url)?;
        let nonce = answer.header(REPLAY_NONCE).map(str::to_owned);
        nonce.ok_or_else(|| UpstreamError::Strange(format!("{url}: no Replay-Nonce")))
    }

    /// The latest are used first.
    fn keep(&self, nonce: String) {
        let mut nonces = self.nonces();
        if nonces.len() == KEPT {
            nonces.remove(0);
        }
        nonces.push(nonce);
    }

    fn nonces(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
