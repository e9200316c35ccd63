use certfleet_domain::{
    AccountId, AuthorityName, AuthorizationId, Identifier, Order, OrderId, OrderState, ProfileName,
    Replaced,
};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct OrderDocument {
    #[serde(rename = "_id")]
    id: OrderId,
    authority: AuthorityName,
    account: AccountId,
    identifiers: Vec<Identifier>,
    authorizations: Vec<AuthorizationId>,
    profile: ProfileName,
    not_before: Option<bson::DateTime>,
    not_after: Option<bson::DateTime>,
    replaces: Option<Replaced>,
    created_at: bson::DateTime,
    expires_at: bson::DateTime,
    state: OrderState,
    version: i64,
}

impl Stored for Order {
    const COLLECTION: &'static str = collections::ORDERS;
    type Document = OrderDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> OrderDocument {
        OrderDocument {
            id: self.id,
            authority: self.authority.clone(),
            account: self.account,
            identifiers: self.identifiers.clone(),
            authorizations: self.authorizations.clone(),
            profile: self.profile.clone(),
            not_before: self.not_before.map(to_bson_time),
            not_after: self.not_after.map(to_bson_time),
            replaces: self.replaces.clone(),
            created_at: to_bson_time(self.created_at),
            expires_at: to_bson_time(self.expires_at),
            state: self.state.clone(),
            version,
        }
    }

    fn from_document(document: OrderDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            authority: document.authority,
            account: document.account,
            identifiers: document.identifiers,
            authorizations: document.authorizations,
            profile: document.profile,
            not_before: document.not_before.map(from_bson_time),
            not_after: document.not_after.map(from_bson_time),
            replaces: document.replaces,
            created_at: from_bson_time(document.created_at),
            expires_at: from_bson_time(document.expires_at),
            state: document.state,
            version: document.version,
        })
    }
}
