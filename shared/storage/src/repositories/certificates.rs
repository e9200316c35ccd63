use bson::{Document, doc};
use certfleet_domain::{Certificate, CertificateId, OrderId, Serial};
use mongodb::{Collection, Database};

use super::{find_by_id, find_one};
use crate::collections::CERTIFICATES;
use crate::documents::{insert, replace};
use crate::error::StorageError;
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

    /// The unit that records the intent to sign.
    pub fn insert(&self, certificate: &Certificate) -> Result<Unit, StorageError> {
        insert(certificate)
    }

    /// The unit that stores a change, provided that nobody has changed the certificate since it was read.
    pub fn update(&self, certificate: &Certificate) -> Result<Unit, StorageError> {
        replace(certificate)
    }
}
