//! The three things that are asked of the cluster's own API server: whom to believe, whose a token is, and who may what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use certfleet_outgoing::Trust;
use certfleet_service_kit::settings::Adapter;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::front_proxy::Caller;

/// How long the API server may take: whoever asks waits meanwhile.
const ANSWERS_WITHIN: Duration = Duration::from_millis(700);

/// Why it did not answer.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// This program's own token cannot be read.
    #[error("{}: {source}", path.display())]
    Token {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not reached, or what it says is not understood.
    #[error("the Kubernetes API: {0}")]
    Away(#[from] reqwest::Error),
    /// It refuses.
    #[error("the Kubernetes API answers {status} to {path}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What was asked.
        path: String,
        /// Why.
        message: String,
    },
}

/// What the API server says about whom to believe.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AuthenticationConfig {
    /// The roots of the front proxy's certificate, PEM.
    pub requestheader_client_ca_file: Option<String>,
    /// The common names it may have, as a list in JSON.
    pub requestheader_allowed_names: Option<String>,
    /// The headers in which it says for whom it asks, likewise.
    pub requestheader_username_headers: Option<String>,
    /// Those of the groups, likewise.
    pub requestheader_group_headers: Option<String>,
    /// The roots of clients' certificates, PEM.
    pub client_ca_file: Option<String>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Attributes {
    /// To read a metric.
    #[serde(rename_all = "camelCase")]
    ResourceAttributes {
        /// In this namespace.
        namespace: String,
        /// `list`.
        verb: &'static str,
        /// The API's group.
        group: &'static str,
        /// Its version.
        version: &'static str,
        /// The metric.
        resource: &'static str,
    },
    /// To read what there is.
    NonResourceAttributes {
        /// The path.
        path: String,
        /// `get`.
        verb: &'static str,
    },
}

#[derive(Deserialize)]
struct ConfigMap {
    data: AuthenticationConfig,
}

#[derive(Deserialize)]
struct Reviewed<S> {
    status: S,
}

#[derive(Deserialize)]
struct Access {
    allowed: bool,
}

#[derive(Deserialize)]
struct Authentication {
    #[serde(default)]
    authenticated: bool,
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    /// Empty where nobody is known.
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

/// What counts of an answer that is an error.
#[derive(Default, Deserialize)]
struct Why {
    #[serde(default)]
    message: String,
}

/// The cluster's own API server.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    client: Client,
    url: String,
    token_file: PathBuf,
}

impl Kubernetes {
    /// Where the settings say. Nothing is connected yet.
    pub fn new(settings: &Adapter) -> anyhow::Result<Self> {
        let trust = Trust {
            roots: Some(settings.kubernetes_ca_file.clone()),
            identity: None,
        };
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(ANSWERS_WITHIN)
            .tls_backend_preconfigured(trust.config().context("adapter.kubernetes_ca_file")?);
        Ok(Self {
            client: client.build()?,
            url: settings
                .kubernetes_url
                .as_str()
                .trim_end_matches('/')
                .to_owned(),
            token_file: settings.kubernetes_token_file.clone(),
        })
    }

    /// Whom to believe.
    pub async fn authentication(&self) -> Result<AuthenticationConfig, KubernetesError> {
        let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
        let request = self.client.get(format!("{}{path}", self.url));
        let found: ConfigMap = self.ask(path, request).await?;
        Ok(found.data)
    }

    /// Whose token this is; none, if nobody's.
    pub async fn whose(&self, token: &str) -> Result<Option<Caller>, KubernetesError> {
        let review: Reviewed<Authentication> = self
            .review(
                "authentication.k8s.io",
                "TokenReview",
                &json!({ "token": token }),
            )
            .await?;
        let known = review.status.authenticated;
        let user = review
            .status
            .user
            .filter(|user| known && !user.username.is_empty());
        Ok(user.map(|user| Caller::known(user.username, user.groups)))
    }

    /// Whether this caller may do this.
    pub async fn may(
        &self,
        caller: &Caller,
        attributes: &Attributes,
    ) -> Result<bool, KubernetesError> {
        let mut spec = json!({ "user": caller.name, "groups": caller.groups });
        if let (Ok(Value::Object(wanted)), Some(spec)) =
            (serde_json::to_value(attributes), spec.as_object_mut())
        {
            spec.extend(wanted);
        }
        let review: Reviewed<Access> = self
            .review("authorization.k8s.io", "SubjectAccessReview", &spec)
            .await?;
        Ok(review.status.allowed)
    }

    async fn review<S: DeserializeOwned>(
        &self,
        group: &str,
        kind: &str,
        spec: &Value,
    ) -> Result<Reviewed<S>, KubernetesError> {
        let path = format!("/apis/{group}/v1/{}s", kind.to_lowercase());
        let review = json!({ "apiVersion": format!("{group}/v1"), "kind": kind, "spec": spec });
        let request = self
            .client
            .post(format!("{}{path}", self.url))
            .json(&review);
        self.ask(&path, request).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        request: RequestBuilder,
    ) -> Result<T, KubernetesError> {
        let token = read_token(&self.token_file).await?;
        let answer = request.bearer_auth(token.trim()).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.json().await?);
        }
        let why: Why = answer.json().await.unwrap_or_default();
        Err(KubernetesError::Refused {
            status: status.as_u16(),
            path: path.to_owned(),
            message: why.message,
        })
    }
}

/// Read for each call: Kubernetes puts another in its place before it ends.
async fn read_token(path: &Path) -> Result<Zeroizing<String>, KubernetesError> {
    let token = tokio::fs::read_to_string(path).await;
    token
        .map(Zeroizing::new)
        .map_err(|source| KubernetesError::Token {
            path: path.to_owned(),
            source,
        })
}
