//! Delivery to a receiver that answers.

use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use rustls::ClientConfig;
use url::Url;
use zeroize::Zeroizing;

use crate::forwarder::ForwardError;

/// Longer answers are cut in what is said of them.
const LONGEST_ANSWER: usize = 200;

/// Posts entries, one JSON object a line.
pub(crate) struct Poster {
    client: Client,
    token: Option<HeaderValue>,
}

impl Poster {
    /// With this bearer token, if there is one. Follows no redirects: entries go where they are told to, or nowhere.
    pub fn new(
        tls: Option<ClientConfig>,
        token: Option<&Zeroizing<String>>,
    ) -> Result<Self, ForwardError> {
        let mut client = Client::builder().redirect(reqwest::redirect::Policy::none());
        if let Some(tls) = tls {
            client = client.tls_backend_preconfigured(tls);
        }
        let bearer = |token: &Zeroizing<String>| {
            let text = Zeroizing::new(format!("Bearer {}", token.as_str()));
            let mut value = HeaderValue::from_str(&text).map_err(|_| ForwardError::UnfitToken)?;
            value.set_sensitive(true);
            Ok::<_, ForwardError>(value)
        };
        Ok(Self {
            client: client.build()?,
            token: token.map(bearer).transpose()?,
        })
    }

    /// Delivers; it has arrived when the receiver answers 2xx.
    pub async fn post(&self, url: &Url, body: String) -> Result<(), ForwardError> {
        let mut request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(body);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let answer = request.send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let answer = answer.text().await.unwrap_or_default();
        let answer: String = answer.chars().take(LONGEST_ANSWER).collect();
        Err(ForwardError::Answered {
            status: status.as_u16(),
            answer: answer.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }
}
