use certfleet_domain::{
    AccountId, AuthorityName, Authorization, AuthorizationId, AuthorizationState, Challenge,
    Identifier,
};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct AuthorizationDocument {
    #[serde(rename = "_id")]
    id: AuthorizationId,
    authority: AuthorityName,
    account: AccountId,
    identifier: Identifier,
    created_at: bson::DateTime,
    expires_at: bson::DateTime,
    state: AuthorizationState,
    challenges: Vec<Challenge>,
    version: i64,
}

impl Stored for Authorization {
    const COLLECTION: &'static str = collections::AUTHORIZATIONS;
    type Document = AuthorizationDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> AuthorizationDocument {
        AuthorizationDocument {
            id: self.id,
            authority: self.authority.clone(),
            account: self.account,
            identifier: self.identifier.clone(),
            created_at: to_bson_time(self.created_at),
            expires_at: to_bson_time(self.expires_at),
            state: self.state,
            challenges: self.challenges.clone(),
            version,
        }
    }

    fn from_document(document: AuthorizationDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            authority: document.authority,
            account: document.account,
            identifier: document.identifier,
            created_at: from_bson_time(document.created_at),
            expires_at: from_bson_time(document.expires_at),
            state: document.state,
            challenges: document.challenges,
            version: document.version,
        })
    }
}
