//! By a request to a URL.

use std::path::PathBuf;
use std::time::Duration;

use certfleet_domain::{Notice, Timestamp};
use certfleet_outgoing::Trust;
use reqwest::Client;
use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

use crate::NotifyError;

/// Where to, and what is shown there.
pub struct WebhookSettings {
    /// The URL.
    pub url: Url,
    /// The bearer token, if one is due.
    pub token: Option<Zeroizing<String>>,
    /// The roots of the receiver's certificate, PEM; those of the system without it.
    pub roots: Option<PathBuf>,
    /// How long it may take.
    pub patience: Duration,
}

/// Sends requests.
pub struct Webhook {
    client: Client,
    url: Url,
    token: Option<Zeroizing<String>>,
}

#[derive(Serialize)]
struct Told<'n> {
    notices: Vec<View<'n>>,
}

/// A notice, as a receiver gets it.
#[derive(Serialize)]
struct View<'n> {
    id: &'n str,
    topic: &'static str,
    project: &'n str,
    certificate: Option<String>,
    subject: &'n str,
    text: &'n str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
}

impl Webhook {
    /// By these settings. Follows no redirects: a notice goes where it is told to, or nowhere.
    ///
    /// # Errors
    /// The roots cannot be read.
    pub fn new(settings: WebhookSettings) -> Result<Self, NotifyError> {
        let tls = if settings.url.scheme() == "https" {
            let roots = settings.roots;
            let identity = None;
            Trust { roots, identity }.config()?
        } else {
            Trust::nobody()?
        };
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.patience)
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| NotifyError::Http(error.to_string()))?;
        Ok(Self {
            client,
            url: settings.url,
            token: settings.token,
        })
    }

    /// Tells all of these in one request.
    ///
    /// # Errors
    /// The receiver did not answer 2xx.
    pub async fn tell(&self, notices: &[Notice]) -> Result<(), NotifyError> {
        let told = Told {
            notices: notices.iter().map(View::of).collect(),
        };
        let mut request = self.client.post(self.url.clone()).json(&told);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        // Not with its URL, which may hold a secret.
        let without = |error: reqwest::Error| NotifyError::Http(error.without_url().to_string());
        let answer = request.send().await.map_err(without)?;
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(NotifyError::Answered(status.as_u16()))
        }
    }
}

impl<'n> View<'n> {
    fn of(notice: &'n Notice) -> Self {
        Self {
            id: &notice.id,
            topic: notice.topic.name(),
            project: notice.project.as_str(),
            certificate: notice.managed.map(|managed| managed.to_string()),
            subject: &notice.subject,
            text: &notice.text,
            created_at: notice.created_at,
        }
    }
}
