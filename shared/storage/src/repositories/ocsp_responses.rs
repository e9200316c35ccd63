use bson::Document;
use certfleet_domain::{CertIdHash, CertificateId, OcspResponse};
use mongodb::{Collection, Database};

use super::{by_id, find_one};
use crate::collections::OCSP_RESPONSES;
use crate::documents::put;
use crate::error::StorageError;
use crate::group::Unit;

/// Signed OCSP answers. Each goes when its time is over.
#[derive(Clone)]
pub struct OcspResponses {
    collection: Collection<Document>,
}

impl OcspResponses {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(OCSP_RESPONSES),
        }
    }

    /// The answer about a certificate that names its issuer so.
    pub async fn find(
        &self,
        certificate: CertificateId,
        hash: CertIdHash,
    ) -> Result<Option<OcspResponse>, StorageError> {
        find_one(&self.collection, by_id(&format!("{certificate}/{hash}"))).await
    }

    /// The unit that puts an answer in place of the one before.
    pub fn put(&self, response: &OcspResponse) -> Result<Unit, StorageError> {
        put(response)
    }
}
