use certfleet_domain::{Channel, ManagedId, Notice, ProjectName, Topic};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct NoticeDocument {
    #[serde(rename = "_id")]
    id: String,
    topic: Topic,
    project: ProjectName,
    managed: Option<ManagedId>,
    subject: String,
    text: String,
    waiting: Vec<Channel>,
    #[serde(default)]
    told: Vec<Channel>,
    attempts: u32,
    next_at: Option<bson::DateTime>,
    trouble: Option<String>,
    created_at: bson::DateTime,
    version: i64,
}

impl Stored for Notice {
    const COLLECTION: &'static str = collections::NOTICES;
    type Document = NoticeDocument;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> NoticeDocument {
        NoticeDocument {
            id: self.id.clone(),
            topic: self.topic,
            project: self.project.clone(),
            managed: self.managed,
            subject: self.subject.clone(),
            text: self.text.clone(),
            waiting: self.waiting.clone(),
            told: self.told.clone(),
            attempts: self.attempts,
            next_at: self.next_at.map(to_bson_time),
            trouble: self.trouble.clone(),
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: NoticeDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            topic: document.topic,
            project: document.project,
            managed: document.managed,
            subject: document.subject,
            text: document.text,
            waiting: document.waiting,
            told: document.told,
            attempts: document.attempts,
            next_at: document.next_at.map(from_bson_time),
            trouble: document.trouble,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}
