use certfleet_domain::{CertIdHash, CertificateId, OcspResponse};
use serde::{Deserialize, Serialize};

use super::{Stored, binary, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct OcspResponseDocument {
    #[serde(rename = "_id")]
    id: String,
    certificate: CertificateId,
    hash: CertIdHash,
    revoked: bool,
    this_update: bson::DateTime,
    next_update: bson::DateTime,
    der: bson::Binary,
}

impl Stored for OcspResponse {
    const COLLECTION: &'static str = collections::OCSP_RESPONSES;
    type Document = OcspResponseDocument;

    fn id(&self) -> String {
        format!("{}/{}", self.certificate, self.hash)
    }

    /// It is written over as a whole, whatever is there.
    fn version(&self) -> i64 {
        0
    }

    fn to_document(&self, _: i64) -> OcspResponseDocument {
        OcspResponseDocument {
            id: self.id(),
            certificate: self.certificate,
            hash: self.hash,
            revoked: self.revoked,
            this_update: to_bson_time(self.this_update),
            next_update: to_bson_time(self.next_update),
            der: binary(&self.der),
        }
    }

    fn from_document(document: OcspResponseDocument) -> Result<Self, String> {
        Ok(Self {
            certificate: document.certificate,
            hash: document.hash,
            revoked: document.revoked,
            this_update: from_bson_time(document.this_update),
            next_update: from_bson_time(document.next_update),
            der: document.der.bytes,
        })
    }
}
