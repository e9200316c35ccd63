use bson::{Document, doc};
use certfleet_domain::{Authority, AuthorityName};
use mongodb::{Collection, Database};

use super::{by_id, find_many, find_one};
use crate::collections::AUTHORITIES;
use crate::documents::insert;
use crate::error::StorageError;
use crate::group::Unit;

/// Authorities: their issuers' certificates and profiles. Their keys lie sealed, in [`super::SealedSecrets`].
#[derive(Clone)]
pub struct Authorities {
    collection: Collection<Document>,
}

impl Authorities {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(AUTHORITIES),
        }
    }

    /// The authority of this name.
    pub async fn find(&self, name: &AuthorityName) -> Result<Option<Authority>, StorageError> {
        find_one(&self.collection, by_id(&name)).await
    }

    /// All authorities, by name.
    pub async fn all(&self) -> Result<Vec<Authority>, StorageError> {
        let mut all: Vec<Authority> = find_many(&self.collection, doc! {}).await?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The unit that stores a new authority; refused as a duplicate if there is one of its name.
    pub fn insert(&self, authority: &Authority) -> Result<Unit, StorageError> {
        insert(authority)
    }
}
