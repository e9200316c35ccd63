use std::collections::BTreeSet;
use std::fmt::Display;

use bson::{Document, doc};
use certfleet_domain::{
    Certificate, CertificateId, CrlShard, IssuerId, OrderId, Revocation, Serial, Timestamp,
};
use futures_util::{Stream, StreamExt, TryStreamExt};
use mongodb::options::Hint;
use mongodb::{Collection, Database};

use super::{Selection, find_by_id, find_one};
use crate::collections::{CERTIFICATES, CERTIFICATES_REVOKED, CERTIFICATES_UNLISTED};
use crate::documents::{decode, from_bson_time, insert, replace, to_bson_time};
use crate::error::{Corrupt, StorageError};
use crate::group::{FindGroup, Unit};

/// Certificates, from the moment they are intended. An order has at most one, and serial numbers are unique, both
/// by unique indexes.
#[derive(Clone)]
pub struct Certificates {
    collection: Collection<Document>,
    by_id: FindGroup,
}

impl Certificates {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(CERTIFICATES),
            by_id: FindGroup::start(database.collection(CERTIFICATES)),
        }
    }

    /// The certificate of this id.
    pub async fn find(&self, id: CertificateId) -> Result<Option<Certificate>, StorageError> {
        find_by_id(&self.by_id, &id).await
    }

    /// The certificate of this serial number.
    pub async fn find_by_serial(
        &self,
        serial: Serial,
    ) -> Result<Option<Certificate>, StorageError> {
        find_one(&self.collection, doc! { "serial": serial.to_string() }).await
    }

    /// The certificate that came of this order.
    pub async fn find_by_order(&self, order: OrderId) -> Result<Option<Certificate>, StorageError> {
        find_one(&self.collection, doc! { "order": order.to_string() }).await
    }

    /// How many certificates are selected.
    pub async fn count(&self, selection: &Selection) -> Result<u64, StorageError> {
        Ok(self.collection.count_documents(selection.filter()).await?)
    }

    /// The certificates that are selected.
    pub async fn select(
        &self,
        selection: &Selection,
    ) -> Result<impl Stream<Item = Result<Certificate, StorageError>> + Send + use<>, StorageError>
    {
        let found = self.collection.find(selection.filter()).await?;
        Ok(found
            .map_err(StorageError::from)
            .map(|document| Ok(decode(document?)?)))
    }

    /// The shards of an issuer in which a certificate was revoked that no CRL lists yet. Reads one key of an index for each
    /// of them, and one more, however many certificates there are.
    pub async fn shards_to_list(
        &self,
        issuer: IssuerId,
    ) -> Result<BTreeSet<CrlShard>, StorageError> {
        let mut shards = BTreeSet::new();
        let mut behind = Document::new();
        loop {
            let mut filter = doc! { "issuer": issuer.to_string(), "unlisted": true };
            if !behind.is_empty() {
                filter.insert("serial", behind);
            }
            let first = self
                .collection
                .find_one(filter)
                .hint(unlisted())
                .sort(doc! { "serial": 1 })
                .projection(doc! { "_id": 0, "serial": 1 });
            let Some(first) = first.await? else {
                return Ok(shards);
            };
            let shard = CrlShard::of(serial(&first)?);
            shards.insert(shard);
            behind = doc! { "$gt": shard.serials().1.to_string() };
        }
    }

    /// The revoked certificates of a shard that no CRL lists yet, by their serial numbers.
    pub async fn unlisted(
        &self,
        issuer: IssuerId,
        shard: CrlShard,
    ) -> Result<Vec<Serial>, StorageError> {
        let mut filter = of_shard(issuer, shard);
        filter.insert("unlisted", true);
        let columns = doc! { "_id": 0, "serial": 1 };
        let found = self.collection.find(filter).hint(unlisted());
        let found = found.projection(columns).await?;
        let found: Vec<Document> = found.try_collect().await?;
        Ok(found.iter().map(serial).collect::<Result<_, _>>()?)
    }

    /// The revoked certificates of a shard that end after this moment, by their serial numbers. Read from an index alone.
    pub async fn revoked(
        &self,
        issuer: IssuerId,
        shard: CrlShard,
        ending_after: Timestamp,
    ) -> Result<Vec<Revocation>, StorageError> {
        let mut filter = of_shard(issuer, shard);
        filter.insert("state.status", "revoked");
        filter.insert("not_after", doc! { "$gt": to_bson_time(ending_after) });
        let found = self
            .collection
            .find(filter)
            .hint(Hint::Name(CERTIFICATES_REVOKED.to_owned()))
            .sort(doc! { "serial": 1 })
            .projection(doc! { "_id": 0, "serial": 1, "state.at": 1, "state.reason": 1 })
            .batch_size(10_000)
            .await?;
        let found: Vec<Document> = found.try_collect().await?;
        found.iter().map(|row| Ok(revocation(row)?)).collect()
    }

    /// Notes that a CRL lists these.
    pub async fn listed(&self, issuer: IssuerId, serials: &[Serial]) -> Result<(), StorageError> {
        for serials in serials.chunks(1_000) {
            let serials: Vec<String> = serials.iter().map(ToString::to_string).collect();
            let these = doc! {
                "issuer": issuer.to_string(), "serial": { "$in": serials }, "unlisted": true,
            };
            let done = doc! { "$unset": { "unlisted": "" } };
            let noted = self.collection.update_many(these, done);
            noted.hint(unlisted()).await?;
        }
        Ok(())
    }

    /// The unit that records the intent to sign.
    pub fn insert(&self, certificate: &Certificate) -> Result<Unit, StorageError> {
        insert(certificate)
    }

    /// The unit that stores a change, provided that nobody has changed the certificate since it was read.
    pub fn update(&self, certificate: &Certificate) -> Result<Unit, StorageError> {
        replace(certificate)
    }
}

/// The index by which those that no CRL lists are found: by that of all serial numbers, all would be read.
fn unlisted() -> Hint {
    Hint::Name(CERTIFICATES_UNLISTED.to_owned())
}

/// The certificates of a shard.
fn of_shard(issuer: IssuerId, shard: CrlShard) -> Document {
    let (first, last) = shard.serials();
    doc! {
        "issuer": issuer.to_string(),
        "serial": { "$gte": first.to_string(), "$lte": last.to_string() },
    }
}

fn serial(row: &Document) -> Result<Serial, Corrupt> {
    let text = row.get_str("serial").unwrap_or_default();
    text.parse().map_err(|error| corrupt(text, &error))
}

fn revocation(row: &Document) -> Result<Revocation, Corrupt> {
    let serial = serial(row)?;
    let state = row.get_document("state");
    let read = || {
        let state = state.ok()?;
        let reason = bson::deserialize_from_bson(state.get("reason")?.clone()).ok()?;
        let at = from_bson_time(*state.get_datetime("at").ok()?);
        Some(Revocation { serial, at, reason })
    };
    read().ok_or_else(|| corrupt(&serial.to_string(), &"state: at and reason are due"))
}

fn corrupt(serial: &str, why: &dyn Display) -> Corrupt {
    Corrupt {
        collection: CERTIFICATES,
        id: format!("with serial {serial}"),
        why: why.to_string(),
    }
}
