use certfleet_domain::{
    Drift, Endpoint, Finding, Identifier, ManagedId, Watch, WatchId, WatchPolicy,
};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct WatchDocument {
    #[serde(rename = "_id")]
    id: WatchId,
    managed: ManagedId,
    endpoint: Endpoint,
    name: Identifier,
    policy: WatchPolicy,
    finding: Option<FindingDocument>,
    repaired_at: Option<bson::DateTime>,
    looked_at: Option<bson::DateTime>,
    next_at: bson::DateTime,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct FindingDocument {
    drift: Drift,
    detail: String,
    first_seen: bson::DateTime,
    last_seen: bson::DateTime,
}

impl Stored for Watch {
    const COLLECTION: &'static str = collections::WATCHES;
    type Document = WatchDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> WatchDocument {
        WatchDocument {
            id: self.id,
            managed: self.managed,
            endpoint: self.endpoint.clone(),
            name: self.name.clone(),
            policy: self.policy,
            finding: self.finding.as_ref().map(|finding| FindingDocument {
                drift: finding.drift,
                detail: finding.detail.clone(),
                first_seen: to_bson_time(finding.first_seen),
                last_seen: to_bson_time(finding.last_seen),
            }),
            repaired_at: self.repaired_at.map(to_bson_time),
            looked_at: self.looked_at.map(to_bson_time),
            next_at: to_bson_time(self.next_at),
            version,
        }
    }

    fn from_document(document: WatchDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            managed: document.managed,
            endpoint: document.endpoint,
            name: document.name,
            policy: document.policy,
            finding: document.finding.map(|finding| Finding {
                drift: finding.drift,
                detail: finding.detail,
                first_seen: from_bson_time(finding.first_seen),
                last_seen: from_bson_time(finding.last_seen),
            }),
            repaired_at: document.repaired_at.map(from_bson_time),
            looked_at: document.looked_at.map(from_bson_time),
            next_at: from_bson_time(document.next_at),
            version: document.version,
        })
    }
}
