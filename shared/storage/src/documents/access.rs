//! Projects, and the tokens of the REST API.

use certfleet_domain::{
    ApiToken, ApiTokenState, Grant, Project, ProjectName, Role, Scope, TokenDigest, TokenId,
};
use serde::{Deserialize, Serialize};

use super::{Stored, binary, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct ProjectDocument {
    #[serde(rename = "_id")]
    name: ProjectName,
    title: Option<String>,
    created_at: bson::DateTime,
    version: i64,
}

impl Stored for Project {
    const COLLECTION: &'static str = collections::PROJECTS;
    type Document = ProjectDocument;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> ProjectDocument {
        ProjectDocument {
            name: self.name.clone(),
            title: self.title.clone(),
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: ProjectDocument) -> Result<Self, String> {
        Ok(Self {
            name: document.name,
            title: document.title,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TokenDocument {
    #[serde(rename = "_id")]
    id: TokenId,
    label: String,
    digest: bson::Binary,
    grants: Vec<GrantDocument>,
    expires_at: Option<bson::DateTime>,
    revoked_at: Option<bson::DateTime>,
    created_at: bson::DateTime,
    version: i64,
}

/// Without a project, the role counts everywhere.
#[derive(Serialize, Deserialize)]
struct GrantDocument {
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<ProjectName>,
}

impl Stored for ApiToken {
    const COLLECTION: &'static str = collections::TOKENS;
    type Document = TokenDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> TokenDocument {
        let grants = self.grants.iter().map(|grant| GrantDocument {
            role: grant.role,
            project: match &grant.scope {
                Scope::Everywhere => None,
                Scope::Project(project) => Some(project.clone()),
            },
        });
        TokenDocument {
            id: self.id,
            label: self.label.clone(),
            digest: binary(self.digest.octets()),
            grants: grants.collect(),
            expires_at: self.expires_at.map(to_bson_time),
            revoked_at: match self.state {
                ApiTokenState::Active => None,
                ApiTokenState::Revoked { at } => Some(to_bson_time(at)),
            },
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: TokenDocument) -> Result<Self, String> {
        let digest = <[u8; 32]>::try_from(document.digest.bytes.as_slice());
        let digest = digest.map_err(|_| "digest: 32 octets are due".to_owned())?;
        if document.grants.is_empty() {
            return Err("grants: at least one is due".to_owned());
        }
        let grants = document.grants.into_iter().map(|grant| Grant {
            role: grant.role,
            scope: grant.project.map_or(Scope::Everywhere, Scope::Project),
        });
        Ok(Self {
            id: document.id,
            label: document.label,
            digest: TokenDigest::new(digest),
            grants: grants.collect(),
            expires_at: document.expires_at.map(from_bson_time),
            state: match document.revoked_at {
                None => ApiTokenState::Active,
                Some(at) => ApiTokenState::Revoked {
                    at: from_bson_time(at),
                },
            },
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}
