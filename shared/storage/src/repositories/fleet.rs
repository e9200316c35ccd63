use bson::{Document, doc};
use certfleet_domain::{Managed, ManagedId, Timestamp, Upstream, UpstreamName, Version, VersionId};
use mongodb::{Collection, Database};

use super::{all_of, by_id, find_many, find_one};
use crate::collections::{CHALLENGE_ANSWERS, MANAGED, UPSTREAMS, VERSIONS};
use crate::documents::{insert, remove, replace, to_bson_time};
use crate::error::StorageError;
use crate::group::{Row, Unit, Write};

/// Which managed certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedManaged {
    /// All of them.
    All,
    /// Those whose certificate is not valid any more at this moment.
    Expired(Timestamp),
    /// Those that have failed so often in a row, or more.
    Failing(u32),
}

impl WantedManaged {
    pub(crate) fn filter(self) -> Document {
        match self {
            Self::All => Document::new(),
            Self::Expired(now) => doc! { "current.not_after": { "$lte": to_bson_time(now) } },
            Self::Failing(failures) => doc! { "setback.failures": { "$gte": failures } },
        }
    }
}

/// The fleet: whom it has certificates from, and which. Keys lie sealed, in [`super::SealedSecrets`].
#[derive(Clone)]
pub struct Fleet {
    upstreams: Collection<Document>,
    managed: Collection<Document>,
    versions: Collection<Document>,
    answers: Collection<Document>,
}

impl Fleet {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            upstreams: database.collection(UPSTREAMS),
            managed: database.collection(MANAGED),
            versions: database.collection(VERSIONS),
            answers: database.collection(CHALLENGE_ANSWERS),
        }
    }

    /// The authority of this name.
    pub async fn upstream(&self, name: &UpstreamName) -> Result<Option<Upstream>, StorageError> {
        find_one(&self.upstreams, by_id(name)).await
    }

    /// All authorities, by name.
    pub async fn upstreams(&self) -> Result<Vec<Upstream>, StorageError> {
        let mut all: Vec<Upstream> = find_many(&self.upstreams, doc! {}).await?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The unit that stores a new authority; refused as a duplicate if there is one of its name.
    pub fn insert_upstream(&self, upstream: &Upstream) -> Result<Unit, StorageError> {
        insert(upstream)
    }

    /// The unit that stores a change, provided that nobody has changed the authority since it was read.
    pub fn update_upstream(&self, upstream: &Upstream) -> Result<Unit, StorageError> {
        replace(upstream)
    }

    /// The unit that removes an authority, provided that nobody has changed it since it was read.
    pub fn remove_upstream(&self, upstream: &Upstream) -> Unit {
        remove(upstream)
    }

    /// The managed certificate of this id.
    pub async fn managed(&self, id: ManagedId) -> Result<Option<Managed>, StorageError> {
        find_one(&self.managed, by_id(&id)).await
    }

    /// Managed certificates of which this holds, in the order in which they were added, behind one of them, `most` of them.
    pub async fn list(
        &self,
        wanted: WantedManaged,
        after: Option<ManagedId>,
        most: i64,
    ) -> Result<Vec<Managed>, StorageError> {
        let mut filter = wanted.filter();
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": after.to_string() });
        }
        self.some(filter, doc! { "_id": 1 }, most).await
    }

    /// How many there are of which this holds. Of all, an estimate.
    pub async fn count(&self, wanted: WantedManaged) -> Result<u64, StorageError> {
        if wanted == WantedManaged::All {
            return Ok(self.managed.estimated_document_count().await?);
        }
        Ok(self.managed.count_documents(wanted.filter()).await?)
    }

    /// Those that are to be looked at by now, the longest due first, `most` of them. Reads what is due, and nothing else.
    pub async fn due(&self, now: Timestamp, most: i64) -> Result<Vec<Managed>, StorageError> {
        let due = doc! { "next_at": { "$lte": to_bson_time(now) } };
        self.some(due, doc! { "next_at": 1 }, most).await
    }

    /// Those of which somebody is to be told by now that they were not renewed, `most` of them. Reads these, and nothing else.
    pub async fn to_be_told(
        &self,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<Managed>, StorageError> {
        let due = doc! { "notice_at": { "$lte": to_bson_time(now) } };
        self.some(due, doc! { "notice_at": 1 }, most).await
    }

    async fn some(
        &self,
        filter: Document,
        sort: Document,
        most: i64,
    ) -> Result<Vec<Managed>, StorageError> {
        all_of(self.managed.find(filter).sort(sort).limit(most).await?).await
    }

    /// The unit that stores a new managed certificate.
    pub fn insert(&self, managed: &Managed) -> Result<Unit, StorageError> {
        insert(managed)
    }

    /// The unit that stores a change, provided that nobody has changed it since it was read.
    pub fn update(&self, managed: &Managed) -> Result<Unit, StorageError> {
        replace(managed)
    }

    /// The unit that removes one, provided that nobody has changed it since it was read.
    pub fn remove(&self, managed: &Managed) -> Unit {
        remove(managed)
    }

    /// A certificate that a managed one has had.
    pub async fn version(&self, id: VersionId) -> Result<Option<Version>, StorageError> {
        find_one(&self.versions, by_id(&id)).await
    }

    /// Those of these ids that there are.
    pub async fn versions(&self, ids: &[VersionId]) -> Result<Vec<Version>, StorageError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        find_many(&self.versions, doc! { "_id": { "$in": ids } }).await
    }

    /// The certificates that a managed one has had, the oldest first.
    pub async fn versions_of(&self, managed: ManagedId) -> Result<Vec<Version>, StorageError> {
        let its = doc! { "managed": managed.to_string() };
        let mut all: Vec<Version> = find_many(&self.versions, its).await?;
        // Ids are of a moment.
        all.sort_by_key(|version| version.id);
        Ok(all)
    }

    /// The unit that keeps a certificate.
    pub fn insert_version(&self, version: &Version) -> Result<Unit, StorageError> {
        insert(version)
    }

    /// The unit that removes a certificate that a managed one has had.
    pub fn remove_version(&self, version: VersionId) -> Unit {
        Unit::of(Write::Remove {
            row: Row::new(VERSIONS, version.to_string()),
            guard: Document::new(),
        })
    }

    /// The unit by which whoever asks for this token is given this answer until then (RFC 8555 §8.3).
    pub fn answer(&self, token: &str, key_authorization: &str, until: Timestamp) -> Unit {
        let answer = doc! { "$literal": key_authorization };
        let expires_at = to_bson_time(until);
        Unit::of(Write::Ensure {
            row: Row::new(CHALLENGE_ANSWERS, token),
            pipeline: vec![doc! { "$set": { "answer": answer, "expires_at": expires_at } }],
        })
    }

    /// What whoever asks for this token is to be given.
    pub async fn answer_to(&self, token: &str) -> Result<Option<String>, StorageError> {
        let found = self.answers.find_one(doc! { "_id": token }).await?;
        Ok(found.and_then(|found| Some(found.get_str("answer").ok()?.to_owned())))
    }
}
