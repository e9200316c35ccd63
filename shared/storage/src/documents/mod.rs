//! How entities lie in the database. Nothing outside this crate knows.

mod access;
mod account;
mod authority;
mod authorization;
mod certificate;
mod crl;
mod delivery;
mod discovery;
mod eab_key;
mod managed;
mod notice;
mod ocsp_response;
mod order;
mod solver;
mod upstream;
mod watch;

use bson::{Bson, Document, doc};
use certfleet_domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};

pub(crate) use managed::search_key;

/// An entity that is kept as one document, with a version that grows with each write.
pub(crate) trait Stored: Sized {
    /// Where it is kept.
    const COLLECTION: &'static str;
    /// How it is kept. An empty field is a null here, and not there in the database.
    type Document: Serialize + DeserializeOwned;

    fn id(&self) -> String;
    fn version(&self) -> i64;
    fn to_document(&self, version: i64) -> Self::Document;
    /// The field and what is wrong with it, if it does not parse.
    fn from_document(document: Self::Document) -> Result<Self, String>;
}

/// Reads an entity; what does not parse is an error that names collection, id and field.
pub(crate) fn decode<T: Stored>(document: Document) -> Result<T, Corrupt> {
    let id = document.get("_id").map_or_else(
        || "without _id".to_owned(),
        |id| match id {
            Bson::String(text) => text.clone(),
            other => other.to_string(),
        },
    );
    let corrupt = |why: String| Corrupt {
        collection: T::COLLECTION,
        id: id.clone(),
        why,
    };
    let deserializer = bson::Deserializer::new(Bson::Document(document));
    let parsed = serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        let why = error.message.clone().unwrap_or_else(|| error.to_string());
        corrupt(format!("{field}: {why}"))
    })?;
    T::from_document(parsed).map_err(corrupt)
}

/// The unit that inserts a new entity.
pub(crate) fn insert<T: Stored>(entity: &T) -> Result<Unit, StorageError> {
    let (document, _) = fields(entity, entity.version())?;
    Ok(Unit::of(Write::Insert {
        row: Row::new(T::COLLECTION, entity.id()),
        document,
    }))
}

/// The unit that writes an entity over the one that was read, provided nobody else has written it since.
///
/// Fields that this build knows are set, or removed where they are empty; those of a newer build stay as they are.
pub(crate) fn replace<T: Stored>(entity: &T) -> Result<Unit, StorageError> {
    let (mut set, empty) = fields(entity, entity.version() + 1)?;
    set.remove("_id");
    let mut update = doc! { "$set": set };
    if !empty.is_empty() {
        update.insert("$unset", empty);
    }
    Ok(Unit::of(Write::Update {
        row: Row::new(T::COLLECTION, entity.id()),
        guard: doc! { "version": entity.version() },
        update: Bson::Document(update),
    }))
}

/// The unit by which an entity is there: a new one, unless there is one under its id already.
pub(crate) fn ensure<T: Stored>(entity: &T) -> Result<Unit, StorageError> {
    let (document, _) = fields(entity, entity.version())?;
    let is_there = doc! { "$ne": [{ "$type": "$version" }, "missing"] };
    let kept = doc! { "$cond": [is_there, "$$ROOT", { "$literal": document }] };
    Ok(Unit::of(Write::Ensure {
        row: Row::new(T::COLLECTION, entity.id()),
        pipeline: vec![doc! { "$replaceWith": kept }],
    }))
}

/// The unit that puts an entity in place of whatever is there under its id, if anything is.
pub(crate) fn put<T: Stored>(entity: &T) -> Result<Unit, StorageError> {
    let (document, _) = fields(entity, entity.version())?;
    Ok(Unit::of(Write::Ensure {
        row: Row::new(T::COLLECTION, entity.id()),
        pipeline: vec![doc! { "$replaceWith": { "$literal": document } }],
    }))
}

/// The unit that removes an entity, provided nobody has written it since it was read.
pub(crate) fn remove<T: Stored>(entity: &T) -> Unit {
    Unit::of(Write::Remove {
        row: Row::new(T::COLLECTION, entity.id()),
        guard: doc! { "version": entity.version() },
    })
}

/// The fields that hold something, and those that are empty.
fn fields<T: Stored>(entity: &T, version: i64) -> Result<(Document, Document), StorageError> {
    let all = bson::serialize_to_document(&entity.to_document(version))?;
    Ok(all.into_iter().partition(|(_, value)| *value != Bson::Null))
}

pub(crate) fn to_bson_time(at: Timestamp) -> bson::DateTime {
    bson::DateTime::from_time_0_3(at)
}

pub(crate) fn from_bson_time(at: bson::DateTime) -> Timestamp {
    at.to_time_0_3()
}

pub(crate) fn binary(bytes: &[u8]) -> bson::Binary {
    bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}
