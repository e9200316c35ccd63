use bson::{Document, doc};
use certfleet_domain::{Account, AccountId, AuthorityName, EabKeyId};
use mongodb::{Collection, Database};

use super::{find_by_id, find_many, find_one};
use crate::collections::ACCOUNTS;
use crate::documents::{insert, replace};
use crate::error::StorageError;
use crate::group::{FindGroup, Unit};

/// ACME accounts. A key belongs to at most one account of an authority, by a unique index.
#[derive(Clone)]
pub struct Accounts {
    collection: Collection<Document>,
    by_id: FindGroup,
}

impl Accounts {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(ACCOUNTS),
            by_id: FindGroup::start(database.collection(ACCOUNTS)),
        }
    }

    /// The account of this id.
    pub async fn find(&self, id: AccountId) -> Result<Option<Account>, StorageError> {
        find_by_id(&self.by_id, &id).await
    }

    /// The account that this key belongs to.
    pub async fn find_by_key(
        &self,
        authority: &AuthorityName,
        thumbprint: &str,
    ) -> Result<Option<Account>, StorageError> {
        find_one(
            &self.collection,
            doc! { "authority": authority.as_str(), "thumbprint": thumbprint },
        )
        .await
    }

    /// The accounts that this key has bound.
    pub async fn bound_by(&self, key: EabKeyId) -> Result<Vec<Account>, StorageError> {
        find_many(&self.collection, doc! { "eab_key": key.to_string() }).await
    }

    /// The unit that stores a new account; refused as a duplicate if the key has one.
    pub fn insert(&self, account: &Account) -> Result<Unit, StorageError> {
        insert(account)
    }

    /// The unit that stores a change, provided that nobody has changed the account since it was read; refused as a
    /// duplicate if its new key belongs to another account.
    pub fn update(&self, account: &Account) -> Result<Unit, StorageError> {
        replace(account)
    }
}
