use bson::{Document, doc};
use certfleet_domain::{
    AccountId, AuthorityName, Authorization, AuthorizationId, Identifier, Timestamp,
};
use mongodb::{Collection, Database};

use super::{find_all, find_by_id, find_many};
use crate::collections::AUTHORIZATIONS;
use crate::documents::{insert, replace, to_bson_time};
use crate::error::StorageError;
use crate::group::{FindGroup, Unit};

/// ACME authorizations, with their challenges.
#[derive(Clone)]
pub struct Authorizations {
    collection: Collection<Document>,
    by_id: FindGroup,
}

impl Authorizations {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(AUTHORIZATIONS),
            by_id: FindGroup::start(database.collection(AUTHORIZATIONS)),
        }
    }

    /// The authorization of this id.
    pub async fn find(&self, id: AuthorizationId) -> Result<Option<Authorization>, StorageError> {
        find_by_id(&self.by_id, &id).await
    }

    /// Those of these ids that exist, in their order.
    pub async fn find_all(
        &self,
        ids: &[AuthorizationId],
    ) -> Result<Vec<Authorization>, StorageError> {
        find_all(&self.by_id, ids).await
    }

    /// The account's valid authorizations for these identifiers that are valid beyond `until`.
    pub async fn find_valid(
        &self,
        authority: &AuthorityName,
        account: AccountId,
        identifiers: &[Identifier],
        until: Timestamp,
    ) -> Result<Vec<Authorization>, StorageError> {
        let names: Vec<String> = identifiers.iter().map(ToString::to_string).collect();
        let filter = doc! {
            "account": account.to_string(),
            "identifier": { "$in": names },
            "state": "valid",
            "expires_at": { "$gt": to_bson_time(until) },
            "authority": authority.as_str(),
        };
        find_many(&self.collection, filter).await
    }

    /// The unit that stores a new authorization.
    pub fn insert(&self, authorization: &Authorization) -> Result<Unit, StorageError> {
        insert(authorization)
    }

    /// The unit that stores a change, provided that nobody has changed the authorization since it was read.
    pub fn update(&self, authorization: &Authorization) -> Result<Unit, StorageError> {
        replace(authorization)
    }
}
