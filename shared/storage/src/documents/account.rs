use certfleet_domain::{Account, AccountId, AccountStatus, AuthorityName, Contact, EabKeyId};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct AccountDocument {
    #[serde(rename = "_id")]
    id: AccountId,
    authority: AuthorityName,
    jwk: String,
    thumbprint: String,
    contacts: Vec<Contact>,
    terms_agreed_at: Option<bson::DateTime>,
    eab_key: Option<EabKeyId>,
    status: AccountStatus,
    created_at: bson::DateTime,
    version: i64,
}

impl Stored for Account {
    const COLLECTION: &'static str = collections::ACCOUNTS;
    type Document = AccountDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> AccountDocument {
        AccountDocument {
            id: self.id,
            authority: self.authority.clone(),
            jwk: self.jwk.clone(),
            thumbprint: self.thumbprint.clone(),
            contacts: self.contacts.clone(),
            terms_agreed_at: self.terms_agreed_at.map(to_bson_time),
            eab_key: self.eab_key,
            status: self.status,
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: AccountDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            authority: document.authority,
            jwk: document.jwk,
            thumbprint: document.thumbprint,
            contacts: document.contacts,
            terms_agreed_at: document.terms_agreed_at.map(from_bson_time),
            eab_key: document.eab_key,
            status: document.status,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}
