//! Requests: signed rightly or by hand, sent once or until the server takes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use certfleet_acme::messages::Directory;
use certfleet_acme::{KeyReference, SigningKey};
use certfleet_domain::ProblemKind;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Account, Answer};

/// The media type of signed requests.
pub const JOSE_JSON: &str = "application/jose+json";

/// How long to wait when there was no answer at all.
const AFTER_SILENCE: Duration = Duration::from_millis(100);

/// How many spent nonces a client remembers: the latest.
const SPENT_KEPT: usize = 200;

/// A client of one directory. Clones share connections and nonces.
#[derive(Clone)]
pub struct Acme {
    http: reqwest::Client,
    directory: Arc<Directory>,
    nonces: Arc<Mutex<Vec<String>>>,
    spent: Arc<Mutex<VecDeque<String>>>,
    patience: Option<Duration>,
}

impl Acme {
    /// A client over these connections. It sends each request once and gives the answer as it is.
    pub async fn connect(http: reqwest::Client, directory: &str) -> Result<Self> {
        let answer = Answer::read(http.get(directory).send().await?).await?;
        Ok(Self {
            http,
            directory: Arc::new(answer.expect(200)?.json()?),
            nonces: Arc::default(),
            spent: Arc::default(),
            patience: None,
        })
    }

    /// A client that, for this long, does again what RFC 8555 has clients do again: with the fresh nonce after
    /// `badNonce` (§6.5), after `Retry-After` on 429 and 503, and when there was no answer.
    #[must_use]
    pub fn retrying(self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The URL of an authority's own directory, to which its resources link.
    pub fn index(&self) -> String {
        self.directory.new_nonce.replace("new-nonce", "directory")
    }

    /// The connections.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A nonce that was not used yet: of an earlier answer, or a new one.
    pub async fn nonce(&self) -> Result<String> {
        let known = self.nonces().pop();
        match known {
            Some(nonce) => Ok(nonce),
            None => self.new_nonce().await,
        }
    }

    /// A nonce from newNonce.
    pub async fn new_nonce(&self) -> Result<String> {
        let request = self.http.head(&self.directory.new_nonce);
        let answer = Answer::read(request.send().await?).await?.expect(200)?;
        Ok(answer
            .nonce()
            .context("newNonce: no Replay-Nonce")?
            .to_owned())
    }

    /// Keeps a nonce for the next request.
    pub fn keep(&self, nonce: String) {
        self.nonces().push(nonce);
    }

    /// Sends a body as a signed request, once.
    pub async fn send(&self, url: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
        let request = self.http.post(url).header(CONTENT_TYPE, JOSE_JSON);
        let answer = Answer::read(request.body(body).send().await?).await?;
        if let Some(nonce) = answer.nonce() {
            self.keep(nonce.to_owned());
        }
        Ok(answer)
    }

    /// Signs and sends a request of an account.
    pub async fn post(&self, account: &Account, url: &str, payload: &Value) -> Result<Answer> {
        let payload = payload.to_string();
        self.signed(&account.key, &account.kid(), url, payload.as_bytes())
            .await
    }

    /// POST-as-GET (RFC 8555 §6.3).
    pub async fn read(&self, account: &Account, url: &str) -> Result<Answer> {
        self.signed(&account.key, &account.kid(), url, b"").await
    }

    /// Signs and sends a request that brings its key along.
    pub async fn post_by_key(
        &self,
        key: &SigningKey,
        url: &str,
        payload: &Value,
    ) -> Result<Answer> {
        let payload = payload.to_string();
        self.signed(key, &key.jwk(), url, payload.as_bytes()).await
    }

    /// A new account with a P-256 key.
    pub async fn new_account(&self) -> Result<Account> {
        self.account_of(SigningKey::generate_p256()?).await
    }

    /// The account of this key, made if need be.
    pub async fn account_of(&self, key: SigningKey) -> Result<Account> {
        let payload = json!({ "termsOfServiceAgreed": true });
        let answer = self
            .post_by_key(&key, &self.directory.new_account, &payload)
            .await?;
        let answer = if answer.status == 200 {
            answer
        } else {
            answer.expect(201)?
        };
        Ok(Account {
            key: Arc::new(key),
            url: answer.location()?,
        })
    }

    async fn signed(
        &self,
        key: &SigningKey,
        by: &KeyReference,
        url: &str,
        payload: &[u8],
    ) -> Result<Answer> {
        let Some(patience) = self.patience else {
            return self.attempt(key, by, url, payload).await;
        };
        let until = Instant::now() + patience;
        loop {
            let attempt = self.attempt(key, by, url, payload).await;
            let wait = match &attempt {
                Ok(answer) => try_again_after(answer),
                Err(_) => Some(AFTER_SILENCE),
            };
            match wait {
                Some(wait) if Instant::now() + wait < until => sleep(wait).await,
                _ => return attempt.with_context(|| format!("POST {url}")),
            }
        }
    }

    async fn attempt(
        &self,
        key: &SigningKey,
        by: &KeyReference,
        url: &str,
        payload: &[u8],
    ) -> Result<Answer> {
        let nonce = self.nonce().await?;
        let body = key.sign_request(by, Some(&nonce), url, payload)?;
        let answer = self.send(url, body).await?;
        // Of a request without success, the nonce may not be.
        if answer.status.is_success() {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.push_back(nonce);
            if spent.len() > SPENT_KEPT {
                spent.pop_front();
            }
        }
        Ok(answer)
    }

    /// The last 200 nonces of requests that were answered with success.
    pub fn spent(&self) -> Vec<String> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.iter().cloned().collect()
    }

    /// Reads a resource with a nonce that may be spent; gives the answer as it is.
    pub async fn read_with(&self, account: &Account, url: &str, nonce: &str) -> Result<Answer> {
        let body = account
            .key
            .sign_request(&account.kid(), Some(nonce), url, b"")?;
        self.send(url, body).await
    }

    /// Reads a resource until `done` says so, waiting as `Retry-After` asks, a second without it.
    pub async fn read_until(
        &self,
        account: &Account,
        url: &str,
        within: Duration,
        done: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let until = Instant::now() + within;
        loop {
            let answer = self.read(account, url).await?.expect(200)?;
            let value: Value = answer.json()?;
            if done(&value) {
                return Ok(value);
            }
            let wait = answer.retry_after().unwrap_or(Duration::from_secs(1));
            anyhow::ensure!(
                Instant::now() + wait < until,
                "after {within:?} still {value}"
            );
            sleep(wait).await;
        }
    }

    fn nonces(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether and when RFC 8555 has a client send the request again.
fn try_again_after(answer: &Answer) -> Option<Duration> {
    match answer.status.as_u16() {
        429 | 503 => Some(answer.retry_after().unwrap_or(Duration::from_secs(1))),
        400 => {
            let problem = answer.problem().ok()?;
            (problem.kind() == Some(ProblemKind::BadNonce)).then_some(Duration::ZERO)
        }
        _ => None,
    }
}
