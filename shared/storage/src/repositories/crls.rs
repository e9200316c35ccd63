use bson::{Bson, Document, doc};
use certfleet_domain::{Crl, CrlShard, IssuerId, Timestamp};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use super::{by_id, find_one};
use crate::collections::CRLS;
use crate::documents::{Stored as _, from_bson_time, insert, to_bson_time};
use crate::error::StorageError;
use crate::group::{Row, Unit, Write};

/// CRLs: the latest of each shard.
#[derive(Clone)]
pub struct Crls {
    collection: Collection<Document>,
}

impl Crls {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(CRLS),
        }
    }

    /// The latest of a shard.
    pub async fn find(
        &self,
        issuer: IssuerId,
        shard: CrlShard,
    ) -> Result<Option<Crl>, StorageError> {
        find_one(&self.collection, by_id(&format!("{issuer}/{shard}"))).await
    }

    /// The shards of an issuer of which there is a list, each with when that is to be renewed: what was built the longest ago
    /// comes first. Read from an index alone, as lists can be large.
    pub async fn by_age(
        &self,
        issuer: IssuerId,
    ) -> Result<Vec<(Timestamp, CrlShard)>, StorageError> {
        let found = self
            .collection
            .find(doc! { "issuer": issuer.to_string() })
            .sort(doc! { "renew_at": 1 })
            .projection(doc! { "_id": 0, "renew_at": 1, "shard": 1 });
        let found: Vec<Document> = found.await?.try_collect().await?;
        let row = |crl: &Document| {
            let renew_at = from_bson_time(*crl.get_datetime("renew_at").ok()?);
            let shard = crl.get_i32("shard").ok()?.to_string();
            Some((renew_at, shard.parse().ok()?))
        };
        Ok(found.iter().filter_map(row).collect())
    }

    /// The unit that stores the next list of a shard; refused as too late if there is one of its number.
    pub fn publish(&self, crl: &Crl) -> Result<Unit, StorageError> {
        if crl.number <= 1 {
            return insert(crl);
        }
        let number = i64::from(crl.number);
        let document = bson::serialize_to_document(&crl.to_document(number))?;
        Ok(Unit::of(Write::Update {
            row: Row::new(CRLS, crl.id()),
            guard: doc! { "number": number - 1 },
            update: Bson::Document(document),
        }))
    }

    /// Has all lists of an issuer's built anew at the next opportunity. Says how many there are.
    pub async fn renew(&self, issuer: IssuerId, now: Timestamp) -> Result<u64, StorageError> {
        let all = doc! { "issuer": issuer.to_string() };
        let due = doc! { "$set": { "renew_at": to_bson_time(now) } };
        Ok(self.collection.update_many(all, due).await?.matched_count)
    }

    /// When the first of all lists ends that relying parties go by; `None` if there are none.
    pub async fn first_to_end(&self) -> Result<Option<Timestamp>, StorageError> {
        // They end in the order in which they are due.
        let first = self
            .collection
            .find_one(doc! {})
            .sort(doc! { "renew_at": 1 })
            .projection(doc! { "_id": 0, "next_update": 1 })
            .await?;
        let end = |crl: Document| crl.get_datetime("next_update").ok().copied();
        Ok(first.and_then(end).map(from_bson_time))
    }
}
