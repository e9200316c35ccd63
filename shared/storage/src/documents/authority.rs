use certfleet_domain::{Authority, AuthorityName, Issuer, IssuerId, Profile, Replacement};
use serde::{Deserialize, Serialize};
use time::Duration;

use super::{Stored, binary, from_bson_time, to_bson_time};
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
    #[serde(default)]
    external_account_required: bool,
    replacement: Option<ReplacementDocument>,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct ReplacementDocument {
    issued_before: bson::DateTime,
    since: bson::DateTime,
    within_seconds: i64,
    explanation_url: Option<String>,
}

impl From<&Replacement> for ReplacementDocument {
    fn from(replacement: &Replacement) -> Self {
        Self {
            issued_before: to_bson_time(replacement.issued_before),
            since: to_bson_time(replacement.since),
            within_seconds: replacement.within.whole_seconds(),
            explanation_url: replacement.explanation_url.clone(),
        }
    }
}

impl From<ReplacementDocument> for Replacement {
    fn from(document: ReplacementDocument) -> Self {
        Self {
            issued_before: from_bson_time(document.issued_before),
            since: from_bson_time(document.since),
            within: Duration::seconds(document.within_seconds.clamp(0, i64::from(i32::MAX))),
            explanation_url: document.explanation_url,
        }
    }
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
            external_account_required: self.external_account_required,
            replacement: self.replacement.as_ref().map(ReplacementDocument::from),
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
            external_account_required: document.external_account_required,
            replacement: document.replacement.map(Replacement::from),
            version: document.version,
        })
    }
}
