use std::collections::HashMap;

use bson::{Document, doc};
use certfleet_domain::{ApiToken, Project, ProjectName, Timestamp, TokenId};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use super::{all_of, by_id, find_one};
use crate::collections::{IDEMPOTENCY, PROJECTS, TOKEN_USES, TOKENS};
use crate::documents::{from_bson_time, insert, remove, replace, to_bson_time};
use crate::error::StorageError;
use crate::group::{Row, Unit, Write};

/// Who may do what over the REST API, and in which projects; and what was answered to requests that may come again.
#[derive(Clone)]
pub struct Access {
    projects: Collection<Document>,
    tokens: Collection<Document>,
    uses: Collection<Document>,
    answers: Collection<Document>,
}

/// What was answered to a request that had a key, for when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// A digest of what was asked for: another request under the same key is a mistake.
    pub request: String,
    /// The status.
    pub status: u16,
    /// Where the new thing is, if there is one.
    pub location: Option<String>,
    /// The body, JSON.
    pub body: String,
}

impl Access {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            projects: database.collection(PROJECTS),
            tokens: database.collection(TOKENS),
            uses: database.collection(TOKEN_USES),
            answers: database.collection(IDEMPOTENCY),
        }
    }

    /// The project of this name. The default one is there, whether it was stored or not.
    pub async fn project(&self, name: &ProjectName) -> Result<Option<Project>, StorageError> {
        let found = find_one(&self.projects, by_id(name)).await?;
        Ok(found.or_else(|| name.is_default().then(default_project)))
    }

    /// All projects, by name.
    pub async fn projects(&self) -> Result<Vec<Project>, StorageError> {
        let sorted = self.projects.find(doc! {}).sort(doc! { "_id": 1 });
        let mut all: Vec<Project> = all_of(sorted.await?).await?;
        if !all.iter().any(|project| project.name.is_default()) {
            all.push(default_project());
            all.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(all)
    }

    /// The unit that stores a new project; refused as a duplicate if there is one of its name.
    pub fn insert_project(&self, project: &Project) -> Result<Unit, StorageError> {
        insert(project)
    }

    /// The unit that removes a project, provided that nobody has changed it since it was read.
    pub fn remove_project(&self, project: &Project) -> Unit {
        remove(project)
    }

    /// The token of this id.
    pub async fn token(&self, id: TokenId) -> Result<Option<ApiToken>, StorageError> {
        find_one(&self.tokens, by_id(&id)).await
    }

    /// All tokens, the oldest first.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, StorageError> {
        all_of(self.tokens.find(doc! {}).sort(doc! { "_id": 1 }).await?).await
    }

    /// The unit that stores a new token.
    pub fn insert_token(&self, token: &ApiToken) -> Result<Unit, StorageError> {
        insert(token)
    }

    /// The unit that stores a change, provided that nobody has changed the token since it was read.
    pub fn update_token(&self, token: &ApiToken) -> Result<Unit, StorageError> {
        replace(token)
    }

    /// The unit that notes that a token is used now.
    pub fn used(&self, token: TokenId) -> Unit {
        Unit::of(Write::Ensure {
            row: Row::new(TOKEN_USES, token.to_string()),
            pipeline: vec![doc! { "$set": { "at": "$$NOW" } }],
        })
    }

    /// When each token was used last; those that never were are left out.
    pub async fn last_uses(&self) -> Result<HashMap<TokenId, Timestamp>, StorageError> {
        let all: Vec<Document> = self.uses.find(doc! {}).await?.try_collect().await?;
        let read = |document: &Document| {
            let id = document.get_str("_id").ok()?.parse().ok()?;
            Some((id, from_bson_time(*document.get_datetime("at").ok()?)))
        };
        Ok(all.iter().filter_map(read).collect())
    }

    /// What was answered to a request of this key.
    pub async fn kept_answer(&self, key: &str) -> Result<Option<KeptAnswer>, StorageError> {
        let found = self.answers.find_one(doc! { "_id": key }).await?;
        Ok(found.and_then(|found| {
            Some(KeptAnswer {
                request: found.get_str("request").ok()?.to_owned(),
                status: u16::try_from(found.get_i32("status").ok()?).ok()?,
                location: found.get_str("location").ok().map(str::to_owned),
                body: found.get_str("body").ok()?.to_owned(),
            })
        }))
    }

    /// The unit that keeps what is answered to a request of this key until then; refused as a duplicate if another has the key.
    pub fn keep_answer(&self, key: &str, answer: &KeptAnswer, until: Timestamp) -> Unit {
        let mut document = doc! {
            "_id": key,
            "request": &answer.request,
            "status": i32::from(answer.status),
            "body": &answer.body,
            "expires_at": to_bson_time(until),
        };
        if let Some(location) = &answer.location {
            document.insert("location", location);
        }
        Unit::of(Write::Insert {
            row: Row::new(IDEMPOTENCY, key),
            document,
        })
    }
}

fn default_project() -> Project {
    Project {
        name: ProjectName::default(),
        title: None,
        created_at: Timestamp::UNIX_EPOCH,
        version: 0,
    }
}
