use certfleet_domain::{Contact, Upstream, UpstreamBinding, UpstreamName};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct UpstreamDocument {
    #[serde(rename = "_id")]
    name: UpstreamName,
    directory: String,
    roots: Option<String>,
    contacts: Vec<Contact>,
    profile: Option<String>,
    binding_kid: Option<String>,
    account: Option<String>,
    created_at: bson::DateTime,
    version: i64,
}

impl Stored for Upstream {
    const COLLECTION: &'static str = collections::UPSTREAMS;
    type Document = UpstreamDocument;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> UpstreamDocument {
        UpstreamDocument {
            name: self.name.clone(),
            directory: self.directory.clone(),
            roots: self.roots.clone(),
            contacts: self.contacts.clone(),
            profile: self.profile.clone(),
            binding_kid: self.binding.as_ref().map(|binding| binding.kid.clone()),
            account: self.account.clone(),
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: UpstreamDocument) -> Result<Self, String> {
        Ok(Self {
            name: document.name,
            directory: document.directory,
            roots: document.roots,
            contacts: document.contacts,
            profile: document.profile,
            binding: document.binding_kid.map(|kid| UpstreamBinding { kid }),
            account: document.account,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}
