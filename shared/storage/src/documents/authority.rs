use certfleet_domain::{Authority, AuthorityName, Issuer, IssuerId, Profile};
use serde::{Deserialize, Serialize};

use super::{Stored, binary};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct AuthorityDocument {
    #[serde(rename = "_id")]
    name: AuthorityName,
    issuer: IssuerDocument,
    /// Those that signed before; certificates of theirs are still about.
    #[serde(default)]
    retired_issuers: Vec<IssuerDocument>,
    profiles: Vec<Profile>,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct IssuerDocument {
    id: IssuerId,
    certificate: bson::Binary,
    intermediates: Vec<bson::Binary>,
    root: bson::Binary,
}

impl From<&Issuer> for IssuerDocument {
    fn from(issuer: &Issuer) -> Self {
        Self {
            id: issuer.id,
            certificate: binary(&issuer.certificate),
            intermediates: issuer.intermediates.iter().map(|der| binary(der)).collect(),
            root: binary(&issuer.root),
        }
    }
}

impl From<IssuerDocument> for Issuer {
    fn from(document: IssuerDocument) -> Self {
        Self {
            id: document.id,
            certificate: document.certificate.bytes,
            intermediates: document
                .intermediates
                .into_iter()
                .map(|der| der.bytes)
                .collect(),
            root: document.root.bytes,
        }
    }
}

impl Stored for Authority {
    const COLLECTION: &'static str = collections::AUTHORITIES;
    type Document = AuthorityDocument;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> AuthorityDocument {
        AuthorityDocument {
            name: self.name.clone(),
            issuer: (&self.issuer).into(),
            retired_issuers: self
                .retired_issuers
                .iter()
                .map(IssuerDocument::from)
                .collect(),
            profiles: self.profiles.clone(),
            version,
        }
    }

    fn from_document(document: AuthorityDocument) -> Result<Self, String> {
        if document.profiles.is_empty() {
            return Err("profiles: at least one is due".to_owned());
        }
        Ok(Self {
            name: document.name,
            issuer: document.issuer.into(),
            retired_issuers: document
                .retired_issuers
                .into_iter()
                .map(Issuer::from)
                .collect(),
            profiles: document.profiles,
            version: document.version,
        })
    }
}
