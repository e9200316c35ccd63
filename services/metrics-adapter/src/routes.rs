//! What is answered: discovery, and the values of the metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use certfleet_jobs::JobKind;
use certfleet_service_kit::PeerCertificates;
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;

use crate::access::Access;
use crate::kubernetes::Attributes;
use crate::metric::Metric;
use crate::reading::Readings;
use crate::refusal::Refusal;
use crate::selector::Selector;
use crate::wire::{self, ExternalMetricValueList};

/// Whoever asks has an answer within this, be it an error.
const ANSWERS_WITHIN: Duration = Duration::from_millis(1700);

/// What the routes have in common.
#[derive(Clone)]
pub struct App {
    /// Who may ask.
    pub access: Arc<Access>,
    /// What is told.
    pub readings: Arc<Readings>,
}

/// All routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/openapi/v2", get(openapi))
        .route("/apis", get(groups))
        .route("/apis/external.metrics.k8s.io", get(group))
        .route("/apis/external.metrics.k8s.io/v1beta1", get(resources))
        .route(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}",
            get(values),
        )
        .fallback(async || Refusal::not_found("there is no such path"))
        .method_not_allowed_fallback(async || {
            Refusal::bad_request("GET is due: nothing can be changed here")
        })
        .layer(from_fn(in_time))
        .with_state(app)
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = || Refusal::unavailable("no answer in time").into_response();
    timeout(ANSWERS_WITHIN, next.run(request))
        .await
        .unwrap_or_else(|_| late())
}

type Peer = Option<Extension<PeerCertificates>>;

async fn openapi(State(app): State<App>, peer: Peer, headers: HeaderMap, uri: Uri) -> Answer {
    app.discovery(peer, &headers, &uri).await?;
    Ok(Json(wire::no_openapi()).into_response())
}

async fn groups(State(app): State<App>, peer: Peer, headers: HeaderMap, uri: Uri) -> Answer {
    app.discovery(peer, &headers, &uri).await?;
    let mut accepted = headers.get_all(ACCEPT).iter();
    if accepted.any(|value| value.to_str().is_ok_and(wire::is_for_all)) {
        return Ok(wire::all());
    }
    Ok(Json(wire::groups()).into_response())
}

async fn group(State(app): State<App>, peer: Peer, headers: HeaderMap, uri: Uri) -> Answer {
    app.discovery(peer, &headers, &uri).await?;
    Ok(Json(wire::group()).into_response())
}

async fn resources(State(app): State<App>, peer: Peer, headers: HeaderMap, uri: Uri) -> Answer {
    app.discovery(peer, &headers, &uri).await?;
    Ok(Json(wire::resources()).into_response())
}

/// The part of the query that counts here. What else there is (`timeout`, `limit`) is Kubernetes' own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    #[serde(default)]
    label_selector: String,
}

async fn values(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    Path((namespace, name)): Path<(String, String)>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answer {
    let Some(metric) = Metric::named(&name) else {
        let known = Metric::ALL.map(Metric::name).join(" and ");
        return Err(Refusal::not_found(format!(
            "there is no metric {name:?}: there are {known}"
        )));
    };
    let wanted = Attributes::ResourceAttributes {
        namespace,
        verb: "list",
        group: wire::GROUP,
        version: wire::VERSION,
        resource: metric.name(),
    };
    app.admit(peer, &headers, wanted).await?;
    let Query(asked) = asked.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let is_kind = |name: &str| name.parse::<JobKind>().is_ok();
    let selector = Selector::parse(&asked.label_selector, is_kind)
        .map_err(|why| Refusal::bad_request(why.to_string()))?;
    let reading = app.readings.read().await?;
    let at = reading
        .at
        .replace_nanosecond(0)
        .unwrap_or(reading.at)
        .format(&Rfc3339)
        .map_err(|why| Refusal::unavailable(format!("the time cannot be written: {why}")))?;
    let items = metric.values(&reading.queue, &selector, &at);
    Ok(Json(ExternalMetricValueList::of(items)).into_response())
}

type Answer = Result<Response, Refusal>;

impl App {
    async fn discovery(&self, peer: Peer, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
        let wanted = Attributes::NonResourceAttributes {
            path: uri.path().to_owned(),
            verb: "get",
        };
        self.admit(peer, headers, wanted).await
    }

    async fn admit(
        &self,
        peer: Peer,
        headers: &HeaderMap,
        wanted: Attributes,
    ) -> Result<(), Refusal> {
        let peer = peer.map(|Extension(peer)| peer);
        self.access.admit(peer.as_ref(), headers, wanted).await
    }
}
