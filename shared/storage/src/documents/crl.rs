use certfleet_domain::{Crl, IssuerId};
use serde::{Deserialize, Serialize};

use super::{Stored, binary, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct CrlDocument {
    #[serde(rename = "_id")]
    id: String,
    issuer: IssuerId,
    shard: i32,
    number: i64,
    this_update: bson::DateTime,
    renew_at: bson::DateTime,
    next_update: bson::DateTime,
    listed: i64,
    der: bson::Binary,
}

impl Stored for Crl {
    const COLLECTION: &'static str = collections::CRLS;
    type Document = CrlDocument;

    fn id(&self) -> String {
        format!("{}/{}", self.issuer, self.shard)
    }

    /// Its number, which is signed.
    fn version(&self) -> i64 {
        self.number.into()
    }

    fn to_document(&self, number: i64) -> CrlDocument {
        CrlDocument {
            id: self.id(),
            issuer: self.issuer,
            shard: self.shard.number().into(),
            number,
            this_update: to_bson_time(self.this_update),
            renew_at: to_bson_time(self.renew_at),
            next_update: to_bson_time(self.next_update),
            listed: self.listed.into(),
            der: binary(&self.der),
        }
    }

    fn from_document(document: CrlDocument) -> Result<Self, String> {
        let shard = document.shard.to_string().parse();
        Ok(Self {
            issuer: document.issuer,
            shard: shard.map_err(|error| format!("shard: {error}"))?,
            number: small(document.number, "number")?,
            this_update: from_bson_time(document.this_update),
            renew_at: from_bson_time(document.renew_at),
            next_update: from_bson_time(document.next_update),
            listed: small(document.listed, "listed")?,
            der: document.der.bytes,
        })
    }
}

fn small(number: i64, field: &str) -> Result<u32, String> {
    u32::try_from(number).map_err(|error| format!("{field}: {error}"))
}
