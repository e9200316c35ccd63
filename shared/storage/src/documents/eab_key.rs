use certfleet_domain::{AuthorityName, EabKey, EabKeyId, EabKeyState};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct EabKeyDocument {
    #[serde(rename = "_id")]
    id: EabKeyId,
    authority: AuthorityName,
    label: Option<String>,
    left: u32,
    bound: u32,
    expires_at: Option<bson::DateTime>,
    revoked_at: Option<bson::DateTime>,
    created_at: bson::DateTime,
    version: i64,
}

impl Stored for EabKey {
    const COLLECTION: &'static str = collections::EAB_KEYS;
    type Document = EabKeyDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> EabKeyDocument {
        EabKeyDocument {
            id: self.id,
            authority: self.authority.clone(),
            label: self.label.clone(),
            left: self.left,
            bound: self.bound,
            expires_at: self.expires_at.map(to_bson_time),
            revoked_at: match self.state {
                EabKeyState::Active => None,
                EabKeyState::Revoked { at } => Some(to_bson_time(at)),
            },
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: EabKeyDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            authority: document.authority,
            label: document.label,
            left: document.left,
            bound: document.bound,
            expires_at: document.expires_at.map(from_bson_time),
            state: match document.revoked_at {
                None => EabKeyState::Active,
                Some(at) => EabKeyState::Revoked {
                    at: from_bson_time(at),
                },
            },
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}
