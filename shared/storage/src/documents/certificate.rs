use certfleet_domain::{
    AccountId, AuthorityName, Certificate, CertificateId, CertificateOrigin, CertificateState,
    Identifier, IssuerId, OrderId, ProfileName, RevocationReason, Serial,
};
use serde::{Deserialize, Serialize};

use super::{Stored, binary, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct CertificateDocument {
    #[serde(rename = "_id")]
    id: CertificateId,
    serial: Serial,
    authority: AuthorityName,
    issuer: IssuerId,
    /// Both for a certificate that was ordered, neither for one of our own.
    account: Option<AccountId>,
    order: Option<OrderId>,
    identifiers: Vec<Identifier>,
    profile: ProfileName,
    not_before: bson::DateTime,
    not_after: bson::DateTime,
    replaced_by: Option<OrderId>,
    created_at: bson::DateTime,
    state: StateDocument,
    /// Revoked, and in no CRL yet; there only while that is so.
    unlisted: Option<bool>,
    version: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "camelCase")]
enum StateDocument {
    Intended {
        csr: bson::Binary,
    },
    Issued {
        der: bson::Binary,
    },
    Revoked {
        der: bson::Binary,
        at: bson::DateTime,
        reason: RevocationReason,
    },
}

impl Stored for Certificate {
    const COLLECTION: &'static str = collections::CERTIFICATES;
    type Document = CertificateDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> CertificateDocument {
        let (account, order) = match self.origin {
            CertificateOrigin::Order { account, order } => (Some(account), Some(order)),
            CertificateOrigin::Service => (None, None),
        };
        let state = match &self.state {
            CertificateState::Intended { csr } => StateDocument::Intended { csr: binary(csr) },
            CertificateState::Issued { der } => StateDocument::Issued { der: binary(der) },
            CertificateState::Revoked { der, at, reason } => StateDocument::Revoked {
                der: binary(der),
                at: to_bson_time(*at),
                reason: *reason,
            },
        };
        // Whoever writes a revoked certificate anew has it listed again, which does no harm.
        let unlisted = matches!(self.state, CertificateState::Revoked { .. }).then_some(true);
        CertificateDocument {
            id: self.id,
            serial: self.serial,
            authority: self.authority.clone(),
            issuer: self.issuer,
            account,
            order,
            identifiers: self.identifiers.clone(),
            profile: self.profile.clone(),
            not_before: to_bson_time(self.not_before),
            not_after: to_bson_time(self.not_after),
            replaced_by: self.replaced_by,
            created_at: to_bson_time(self.created_at),
            state,
            unlisted,
            version,
        }
    }

    fn from_document(document: CertificateDocument) -> Result<Self, String> {
        let origin = match (document.account, document.order) {
            (Some(account), Some(order)) => CertificateOrigin::Order { account, order },
            (None, None) => CertificateOrigin::Service,
            _ => return Err("account and order: both or neither are due".to_owned()),
        };
        let state = match document.state {
            StateDocument::Intended { csr } => CertificateState::Intended { csr: csr.bytes },
            StateDocument::Issued { der } => CertificateState::Issued { der: der.bytes },
            StateDocument::Revoked { der, at, reason } => CertificateState::Revoked {
                der: der.bytes,
                at: from_bson_time(at),
                reason,
            },
        };
        Ok(Self {
            id: document.id,
            serial: document.serial,
            authority: document.authority,
            issuer: document.issuer,
            origin,
            identifiers: document.identifiers,
            profile: document.profile,
            not_before: from_bson_time(document.not_before),
            not_after: from_bson_time(document.not_after),
            replaced_by: document.replaced_by,
            created_at: from_bson_time(document.created_at),
            state,
            version: document.version,
        })
    }
}
