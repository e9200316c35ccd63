//! One repository per entity. They take and give the types of `certfleet-domain`.
//!
//! Reads answer at once; changes are [`Unit`](crate::Unit)s, to be committed together with whatever else belongs to
//! the same act.

mod access;
mod accounts;
mod authorities;
mod authorizations;
mod certificates;
mod crls;
mod deliveries;
mod discoveries;
mod eab_keys;
mod fleet;
mod inventory;
mod keks;
mod nonces;
mod notices;
mod ocsp_responses;
mod orders;
mod secrets;
mod selection;
mod solvers;
mod watches;

use bson::{Bson, Document, doc};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt};
use mongodb::{Collection, Cursor};

use crate::documents::{Stored, decode};
use crate::error::StorageError;
use crate::group::FindGroup;

pub use access::{Access, KeptAnswer};
pub use accounts::Accounts;
pub use authorities::{Authorities, AuthorityHealth};
pub use authorizations::Authorizations;
pub use certificates::Certificates;
pub use crls::Crls;
pub use deliveries::{Deliveries, Sighting};
pub use discoveries::Discoveries;
pub use eab_keys::EabKeys;
pub use fleet::{Fleet, WantedManaged};
pub use inventory::{Inventory, Which};
pub(crate) use keks::proof_id;
pub use keks::{Keks, Retiring, Sealing};
pub use nonces::{NonceSpent, Nonces};
pub use notices::Notices;
pub use ocsp_responses::OcspResponses;
pub use orders::{Orders, OrdersPage};
pub use secrets::{Reseal, SealedSecrets, StoredSecret};
pub use selection::Selection;
pub use solvers::Solvers;
pub use watches::Watches;

async fn find_one<T: Stored>(
    collection: &Collection<Document>,
    filter: Document,
) -> Result<Option<T>, StorageError> {
    let found = collection.find_one(filter).await?;
    Ok(found.map(decode).transpose()?)
}

/// All that have one of these ids, in the order of the ids; those that are not there are left out.
async fn find_all<T: Stored>(
    group: &FindGroup,
    ids: &[impl ToString],
) -> Result<Vec<T>, StorageError> {
    let found = try_join_all(ids.iter().map(|id| find_by_id(group, id))).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn find_many<T: Stored>(
    collection: &Collection<Document>,
    filter: Document,
) -> Result<Vec<T>, StorageError> {
    all_of(collection.find(filter).await?).await
}

async fn all_of<T: Stored>(cursor: Cursor<Document>) -> Result<Vec<T>, StorageError> {
    cursor
        .map_err(StorageError::from)
        .and_then(|document| async move { Ok(decode(document)?) })
        .boxed()
        .try_collect()
        .await
}

fn by_id(id: &impl ToString) -> Document {
    doc! { "_id": Bson::String(id.to_string()) }
}

/// The one of this id, read in company.
async fn find_by_id<T: Stored>(
    group: &FindGroup,
    id: &impl ToString,
) -> Result<Option<T>, StorageError> {
    let found = group.find(id.to_string()).await?;
    Ok(found.map(decode).transpose()?)
}
