use bson::{Document, doc};
use certfleet_domain::{AccountId, Order, OrderId};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use super::find_by_id;
use crate::collections::ORDERS;
use crate::documents::{decode, insert, replace};
use crate::error::StorageError;
use crate::group::{FindGroup, Unit};

/// ACME orders.
#[derive(Clone)]
pub struct Orders {
    collection: Collection<Document>,
    by_id: FindGroup,
}

/// Some of an account's orders, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrdersPage {
    /// The orders.
    pub orders: Vec<Order>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

impl Orders {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(ORDERS),
            by_id: FindGroup::start(database.collection(ORDERS)),
        }
    }

    /// The order of this id.
    pub async fn find(&self, id: OrderId) -> Result<Option<Order>, StorageError> {
        find_by_id(&self.by_id, &id).await
    }

    /// At most `most` of the account's orders that come after `after`.
    pub async fn page(
        &self,
        account: AccountId,
        after: Option<OrderId>,
        most: usize,
    ) -> Result<OrdersPage, StorageError> {
        let mut filter = doc! { "account": account.to_string() };
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": after.to_string() });
        }
        let limit = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
        let found: Vec<Document> = self
            .collection
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?;
        let more = found.len() > most;
        let orders = found
            .into_iter()
            .take(most)
            .map(decode)
            .collect::<Result<_, _>>()?;
        Ok(OrdersPage { orders, more })
    }

    /// The unit that stores a new order.
    pub fn insert(&self, order: &Order) -> Result<Unit, StorageError> {
        insert(order)
    }

    /// The unit that stores a change, provided that nobody has changed the order since it was read.
    pub fn update(&self, order: &Order) -> Result<Unit, StorageError> {
        replace(order)
    }
}
