use std::time::Duration;

use bson::{Bson, Document, doc};
use certfleet_domain::{Authority, AuthorityName};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use super::{by_id, find_many, find_one};
use crate::collections::AUTHORITIES;
use crate::documents::{insert, replace};
use crate::error::StorageError;
use crate::group::{Row, Unit, Write};

/// How an authority was when it was last asked to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityHealth {
    /// Its name.
    pub name: String,
    /// Why it could not; `None` if it could, or was not asked yet.
    pub trouble: Option<String>,
    /// How long ago, if it was asked at all.
    pub checked: Option<Duration>,
}

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

    /// The unit that notes whether an authority could sign just now: what the trouble was, if it could not.
    pub fn note_health(&self, name: &AuthorityName, trouble: Option<&str>) -> Unit {
        let trouble = trouble.map(|trouble| doc! { "$literal": trouble });
        let health = doc! { "checked_at": "$$NOW", "trouble": trouble };
        Unit::of(Write::Update {
            row: Row::new(AUTHORITIES, name.to_string()),
            guard: Document::new(),
            update: Bson::Array(vec![doc! { "$set": { "health": health } }.into()]),
        })
    }

    /// How each authority was when it was last asked to sign, by name.
    pub async fn healths(&self) -> Result<Vec<AuthorityHealth>, StorageError> {
        let ago = doc! { "$subtract": ["$$NOW", "$health.checked_at"] };
        let pipeline = [
            doc! { "$sort": { "_id": 1 } },
            doc! { "$project": { "ago": ago, "trouble": "$health.trouble" } },
        ];
        let lines: Vec<Document> = self
            .collection
            .aggregate(pipeline)
            .await?
            .try_collect()
            .await?;
        Ok(lines.iter().map(health).collect())
    }

    /// The unit that stores a new authority; refused as a duplicate if there is one of its name.
    pub fn insert(&self, authority: &Authority) -> Result<Unit, StorageError> {
        insert(authority)
    }

    /// The unit that stores a change, provided that nobody has changed the authority since it was read.
    pub fn update(&self, authority: &Authority) -> Result<Unit, StorageError> {
        replace(authority)
    }
}

fn health(line: &Document) -> AuthorityHealth {
    let ago = line.get_i64("ago").ok();
    AuthorityHealth {
        name: line.get_str("_id").unwrap_or_default().to_owned(),
        trouble: line.get_str("trouble").ok().map(str::to_owned),
        checked: ago.map(|ago| Duration::from_millis(ago.max(0).unsigned_abs())),
    }
}
