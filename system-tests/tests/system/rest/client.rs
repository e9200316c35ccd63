//! A client of the REST API, with a token; its requests fall on either replica.

use anyhow::{Context as _, Result, ensure};
use certfleet_system_tests::Cluster;
use http::header::{ETAG, IF_MATCH};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// A client, with a token.
#[derive(Clone)]
pub struct Client {
    base: String,
    token: String,
    http: reqwest::Client,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub etag: Option<String>,
    pub body: Value,
}

impl Answer {
    async fn of(response: Response) -> Result<Self> {
        let status = response.status().as_u16();
        let etag = response.headers().get(ETAG);
        let etag = etag
            .map(|tag| tag.to_str().map(str::to_owned))
            .transpose()?;
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).context(text)?
        };
        let answer = Self { status, etag, body };
        if status >= 400 {
            // Every refusal says what was wrong (RFC 9457).
            ensure!(answer.body["status"] == status, "{}", answer.body);
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            ensure!(!detail.is_empty(), "{}", answer.body);
        }
        Ok(answer)
    }

    /// The body, if that was the status.
    pub fn expect(self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "{}: {}", self.status, self.body);
        Ok(self.body)
    }
}

impl Client {
    pub fn new(cluster: &Cluster, token: &str) -> Result<Self> {
        Ok(Self {
            base: format!("{}/api/v1", cluster.api()),
            token: token.to_owned(),
            http: cluster.http()?,
        })
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub async fn send(request: RequestBuilder) -> Result<Answer> {
        Answer::of(request.send().await?).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        Self::send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        Self::send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value, tag: Option<&str>) -> Result<Answer> {
        let request = self.request(Method::PATCH, path).json(body);
        Self::send(meaning(request, tag)).await
    }

    pub async fn delete(&self, path: &str, tag: Option<&str>) -> Result<Answer> {
        Self::send(meaning(self.request(Method::DELETE, path), tag)).await
    }
}

fn meaning(request: RequestBuilder, tag: Option<&str>) -> RequestBuilder {
    match tag {
        Some(tag) => request.header(IF_MATCH, tag),
        None => request,
    }
}
