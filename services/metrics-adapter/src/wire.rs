//! What Kubernetes reads: discovery (`meta/v1`) and values (`external.metrics.k8s.io/v1beta1`).

use std::collections::BTreeMap;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::metric::Metric;

/// The API's group.
pub const GROUP: &str = "external.metrics.k8s.io";
/// Its version.
pub const VERSION: &str = "v1beta1";

const OF_THE_GROUP: &str = "external.metrics.k8s.io/v1beta1";
const LIST: &str = "ExternalMetricValueList";

/// Metadata of a list, of which there is none.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ListMeta {}

/// The values of a metric.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalMetricValueList {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta,
    items: Vec<ExternalMetricValue>,
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalMetricValue {
    /// The metric.
    pub metric_name: &'static str,
    /// Which of its values.
    pub metric_labels: BTreeMap<String, String>,
    /// When it was read, RFC 3339.
    pub timestamp: String,
    /// A quantity, as Kubernetes writes numbers.
    pub value: String,
}

impl ExternalMetricValueList {
    /// These values.
    pub fn of(items: Vec<ExternalMetricValue>) -> Self {
        Self {
            kind: LIST,
            api_version: OF_THE_GROUP,
            metadata: ListMeta::default(),
            items,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: &'static str,
    version: &'static str,
}

const GROUP_VERSION: GroupVersion = GroupVersion {
    group_version: OF_THE_GROUP,
    version: VERSION,
};

/// A group of resources.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiGroup {
    kind: &'static str,
    api_version: &'static str,
    name: &'static str,
    versions: [GroupVersion; 1],
    preferred_version: GroupVersion,
}

/// The one group that there is here.
pub fn group() -> ApiGroup {
    ApiGroup {
        kind: "APIGroup",
        api_version: "v1",
        name: GROUP,
        versions: [GROUP_VERSION],
        preferred_version: GROUP_VERSION,
    }
}

/// All groups.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiGroupList {
    kind: &'static str,
    api_version: &'static str,
    groups: [ApiGroup; 1],
}

/// All groups that there are here.
pub fn groups() -> ApiGroupList {
    ApiGroupList {
        kind: "APIGroupList",
        api_version: "v1",
        groups: [group()],
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResource {
    name: &'static str,
    singular_name: &'static str,
    namespaced: bool,
    kind: &'static str,
    verbs: [&'static str; 1],
}

/// The resources of a version of a group: here, each metric is one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiResourceList {
    kind: &'static str,
    api_version: &'static str,
    group_version: &'static str,
    resources: Vec<ApiResource>,
}

/// All metrics.
pub fn resources() -> ApiResourceList {
    let resource = |metric: Metric| ApiResource {
        name: metric.name(),
        singular_name: "",
        namespaced: true,
        kind: LIST,
        verbs: ["get"],
    };
    ApiResourceList {
        kind: "APIResourceList",
        api_version: "v1",
        group_version: OF_THE_GROUP,
        resources: Metric::ALL.into_iter().map(resource).collect(),
    }
}

/// What the API server of the cluster asks for when it wants all there is in one answer.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Whether these words of an `Accept` header ask for all there is in one answer.
pub fn is_for_all(accept: &str) -> bool {
    accept.split(',').any(|kind| kind.trim() == AGGREGATED)
}

/// All there is in one answer (`apidiscovery.k8s.io/v2`).
pub fn all() -> Response {
    let resource = |metric: Metric| {
        json!({
            "resource": metric.name(), "singularResource": "", "scope": "Namespaced", "verbs": ["get"],
            "responseKind": { "group": GROUP, "version": VERSION, "kind": LIST },
        })
    };
    let resources: Vec<Value> = Metric::ALL.into_iter().map(resource).collect();
    let version = json!({ "version": VERSION, "freshness": "Current", "resources": resources });
    let all = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": [{ "metadata": { "name": GROUP, "creationTimestamp": null }, "versions": [version] }],
    });
    ([(CONTENT_TYPE, AGGREGATED)], all.to_string()).into_response()
}

/// What the API server adds to its own description of all APIs: these values are described nowhere.
pub fn no_openapi() -> Value {
    let info = json!({ "title": GROUP, "version": VERSION });
    json!({ "swagger": "2.0", "info": info, "paths": {} })
}
