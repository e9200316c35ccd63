//! Requests as RFC 8555 §6 wants them: a nonce each, a refused nonce tried again, a busy server waited for.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::failure::Failure;
use super::http::{Answer, Transport};
use super::jws::{AccountKey, Identity};
use super::wire::{Directory, Problem};
use crate::measure::steps::{Step, Trace};

/// How often one request is tried before its flow counts as failed.
const ATTEMPTS: usize = 8;
/// A server's `Retry-After` is honoured up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Wait before a request is repeated whose connection broke; doubled each time.
const RECONNECT_WAIT: Duration = Duration::from_millis(20);

/// One client's connection to one server.
pub(crate) struct Session {
    transport: Transport,
    directory: Arc<Directory>,
    nonce: Option<String>,
    /// What the current flow has seen so far.
    pub(crate) trace: Trace,
}

impl Session {
    /// Reads the directory.
    pub(crate) async fn open(mut transport: Transport, url: &str) -> Result<Self, Failure> {
        let answer = transport.send(Method::GET, url, String::new()).await?;
        if answer.status != StatusCode::OK {
            let why = format!("{url} answers {}", answer.status);
            return Err(Failure::new("directory", why));
        }
        let directory = serde_json::from_slice(&answer.body)
            .map_err(|e| Failure::new("directory", format!("{url} holds no directory: {e}")))?;
        Ok(Self::with_directory(transport, Arc::new(directory)))
    }

    /// Another client of the same server.
    pub(crate) fn with_directory(transport: Transport, directory: Arc<Directory>) -> Self {
        Self {
            transport,
            directory,
            nonce: None,
            trace: Trace::default(),
        }
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// Drops what an abandoned exchange may have left half done.
    pub(crate) fn reset(&mut self) {
        self.transport.reset();
        self.nonce = None;
        self.trace = Trace::default();
    }

    /// Posts and reads the answer's JSON.
    pub(crate) async fn post_for<T: DeserializeOwned>(
        &mut self,
        step: Step,
        signer: (&AccountKey, Identity<'_>),
        url: &str,
        payload: &str,
    ) -> Result<(T, Answer), Failure> {
        let answer = self.post(step, signer, url, payload).await?;
        match serde_json::from_slice(&answer.body) {
            Ok(value) => Ok((value, answer)),
            Err(e) => {
                let why = format!("{url}: {e}");
                Err(Failure::new(&format!("{step}: unreadable answer"), why))
            }
        }
    }

    /// Posts a signed request until it is answered for good.
    ///
    /// `badNonce` is tried again at once with the nonce that came with it (RFC 8555 §6.5), 503 with
    /// `Retry-After` when its time has come, and a broken connection after a moment; all of them boundedly.
    pub(crate) async fn post(
        &mut self,
        step: Step,
        signer: (&AccountKey, Identity<'_>),
        url: &str,
        payload: &str,
    ) -> Result<Answer, Failure> {
        let mut last = Failure::new("client", "no attempt was made");
        let mut reconnect_wait = RECONNECT_WAIT;
        for _ in 0..ATTEMPTS {
            let (answer, wait) = match self.attempt(step, signer, url, payload).await? {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => {
                    let wait = self.may_retry(&answer);
                    (refusal(step, &answer), wait)
                }
                Err(broken) => {
                    self.trace.reconnects += 1;
                    let wait = reconnect_wait;
                    reconnect_wait *= 2;
                    let why = format!("{broken:#}");
                    (
                        Failure::new(&format!("{step}: connection"), why),
                        Some(wait),
                    )
                }
            };
            last = answer;
            match wait {
                None => return Err(last),
                Some(wait) if wait.is_zero() => {}
                Some(wait) => self.pause(wait).await,
            }
        }
        Err(last)
    }

    /// One exchange. The inner error is the connection's.
    async fn attempt(
        &mut self,
        step: Step,
        (key, identity): (&AccountKey, Identity<'_>),
        url: &str,
        payload: &str,
    ) -> Result<Result<Answer, anyhow::Error>, Failure> {
        let nonce = match self.nonce.take() {
            Some(nonce) => nonce,
            None => match self.fresh_nonce().await {
                Ok(nonce) => nonce,
                Err(broken) => return Ok(Err(broken)),
            },
        };
        let body = key.sign(identity, &nonce, url, payload)?;
        let began = Instant::now();
        let sent = self.transport.send(Method::POST, url, body).await;
        self.trace.record(step, began.elapsed());
        self.trace.connections += self.transport.take_opened();
        Ok(sent.inspect(|answer| self.nonce.clone_from(&answer.nonce)))
    }

    async fn fresh_nonce(&mut self) -> anyhow::Result<String> {
        let url = &self.directory.new_nonce;
        let began = Instant::now();
        let answer = self.transport.send(Method::HEAD, url, String::new()).await;
        self.trace.record(Step::NewNonce, began.elapsed());
        let answer = answer?;
        let status = answer.status;
        answer
            .nonce
            .ok_or_else(|| anyhow::anyhow!("newNonce answers {status} without a nonce"))
    }

    /// How long to wait before the refused request is sent again, if it may be.
    fn may_retry(&mut self, answer: &Answer) -> Option<Duration> {
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = answer.retry_after?;
            self.trace.unavailable += 1;
            return Some(wait.min(LONGEST_WAIT));
        }
        let problem: Problem = serde_json::from_slice(&answer.body).ok()?;
        if problem.name() == "badNonce" {
            self.trace.bad_nonces += 1;
            return Some(Duration::ZERO);
        }
        None
    }

    /// Waits, and accounts for the time.
    pub(crate) async fn pause(&mut self, wait: Duration) {
        let began = Instant::now();
        tokio::time::sleep(wait).await;
        self.trace.record(Step::Pause, began.elapsed());
    }
}

fn refusal(step: Step, answer: &Answer) -> Failure {
    if let Ok(problem) = serde_json::from_slice::<Problem>(&answer.body) {
        return Failure::problem(&step.to_string(), &problem);
    }
    let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]);
    Failure::new(&format!("{step}: {}", answer.status), start)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
