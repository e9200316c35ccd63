use bson::{Document, doc};
use certfleet_domain::{Discovery, DiscoveryId, Endpoint, ProjectName, Sight, Timestamp};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use super::{all_of, by_id, find_one};
use crate::collections::DISCOVERIES;
use crate::documents::{insert, remove, replace, to_bson_time};
use crate::error::StorageError;
use crate::group::Unit;

/// Places that are looked at for what they serve.
#[derive(Clone)]
pub struct Discoveries {
    collection: Collection<Document>,
}

impl Discoveries {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(DISCOVERIES),
        }
    }

    /// The one of this id.
    pub async fn find(&self, id: DiscoveryId) -> Result<Option<Discovery>, StorageError> {
        find_one(&self.collection, by_id(&id)).await
    }

    /// In the order in which they were added, those within sight and behind this one, `most` of them.
    pub async fn list(
        &self,
        sight: &Sight,
        after: Option<DiscoveryId>,
        most: i64,
    ) -> Result<Vec<Discovery>, StorageError> {
        let mut filter = Document::new();
        if let Sight::Of(projects) = sight {
            let projects: Vec<&str> = projects.iter().map(ProjectName::as_str).collect();
            filter.insert("project", doc! { "$in": projects });
        }
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": after.to_string() });
        }
        let found = self.collection.find(filter).sort(doc! { "_id": 1 });
        all_of(found.limit(most).await?).await
    }

    /// Which of these places a project looks at already.
    pub async fn known(
        &self,
        project: &ProjectName,
        endpoints: &[Endpoint],
    ) -> Result<Vec<String>, StorageError> {
        let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        let filter = doc! { "project": project.as_str(), "endpoint": { "$in": endpoints } };
        let found = self
            .collection
            .find(filter)
            .projection(doc! { "endpoint": 1 });
        let found: Vec<Document> = found.await?.try_collect().await?;
        let endpoint = |one: &Document| Some(one.get_str("endpoint").ok()?.to_owned());
        Ok(found.iter().filter_map(endpoint).collect())
    }

    /// Those that are to be looked at by now, the longest due first, `most` of them. Reads these, and nothing else.
    pub async fn due(&self, now: Timestamp, most: i64) -> Result<Vec<Discovery>, StorageError> {
        let due = doc! { "next_at": { "$lte": to_bson_time(now) } };
        let found = self.collection.find(due).sort(doc! { "next_at": 1 });
        all_of(found.limit(most).await?).await
    }

    /// The unit that stores a new one; refused as a duplicate if the project looks there already.
    pub fn insert(&self, discovery: &Discovery) -> Result<Unit, StorageError> {
        insert(discovery)
    }

    /// The unit that stores a change, provided that nobody has changed it since it was read.
    pub fn update(&self, discovery: &Discovery) -> Result<Unit, StorageError> {
        replace(discovery)
    }

    /// The unit that removes one, provided that nobody has changed it since it was read.
    pub fn remove(&self, discovery: &Discovery) -> Unit {
        remove(discovery)
    }
}
