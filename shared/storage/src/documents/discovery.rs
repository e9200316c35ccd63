use certfleet_domain::{
    Discovered, Discovery, DiscoveryId, Endpoint, Fingerprint, Identifier, ManagedId, ProjectName,
};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct DiscoveryDocument {
    #[serde(rename = "_id")]
    id: DiscoveryId,
    project: ProjectName,
    endpoint: Endpoint,
    swept: bool,
    served: Option<DiscoveredDocument>,
    trouble: Option<String>,
    looked_at: Option<bson::DateTime>,
    next_at: bson::DateTime,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct DiscoveredDocument {
    fingerprint: String,
    serial: String,
    names: Vec<Identifier>,
    issuer: String,
    not_before: bson::DateTime,
    not_after: bson::DateTime,
    first_seen: bson::DateTime,
    managed: Option<ManagedId>,
}

impl From<&Discovered> for DiscoveredDocument {
    fn from(served: &Discovered) -> Self {
        Self {
            fingerprint: served.fingerprint.to_string(),
            serial: served.serial.clone(),
            names: served.names.clone(),
            issuer: served.issuer.clone(),
            not_before: to_bson_time(served.not_before),
            not_after: to_bson_time(served.not_after),
            first_seen: to_bson_time(served.first_seen),
            managed: served.managed,
        }
    }
}

impl DiscoveredDocument {
    fn read(self) -> Result<Discovered, String> {
        let fingerprint: Result<Fingerprint, _> = self.fingerprint.parse();
        Ok(Discovered {
            fingerprint: fingerprint.map_err(|error| format!("served.fingerprint: {error}"))?,
            serial: self.serial,
            names: self.names,
            issuer: self.issuer,
            not_before: from_bson_time(self.not_before),
            not_after: from_bson_time(self.not_after),
            first_seen: from_bson_time(self.first_seen),
            managed: self.managed,
        })
    }
}

impl Stored for Discovery {
    const COLLECTION: &'static str = collections::DISCOVERIES;
    type Document = DiscoveryDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> DiscoveryDocument {
        DiscoveryDocument {
            id: self.id,
            project: self.project.clone(),
            endpoint: self.endpoint.clone(),
            swept: self.swept,
            served: self.served.as_ref().map(DiscoveredDocument::from),
            trouble: self.trouble.clone(),
            looked_at: self.looked_at.map(to_bson_time),
            next_at: to_bson_time(self.next_at),
            version,
        }
    }

    fn from_document(document: DiscoveryDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            project: document.project,
            endpoint: document.endpoint,
            swept: document.swept,
            served: document.served.map(DiscoveredDocument::read).transpose()?,
            trouble: document.trouble,
            looked_at: document.looked_at.map(from_bson_time),
            next_at: from_bson_time(document.next_at),
            version: document.version,
        })
    }
}
