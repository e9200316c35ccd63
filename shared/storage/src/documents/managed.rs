//! A managed certificate, and the certificates that it has had.

use certfleet_domain::{
    Advice, Attempt, Course, Current, Identifier, Managed, ManagedId, ProjectName, Reason,
    RenewalWindow, Setback, UpstreamName, Version, VersionId,
};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct ManagedDocument {
    #[serde(rename = "_id")]
    id: ManagedId,
    #[serde(default)]
    project: ProjectName,
    names: Vec<Identifier>,
    /// The names as they are searched for; absent in what a former build has written.
    #[serde(default)]
    search: Vec<String>,
    upstreams: Vec<UpstreamName>,
    current: Option<CurrentDocument>,
    course: CourseDocument,
    setback: Option<SetbackDocument>,
    spare: Option<VersionId>,
    forced: bool,
    next_at: bson::DateTime,
    notice_at: Option<bson::DateTime>,
    round: i64,
    created_at: bson::DateTime,
    version: i64,
}

/// A name from its end, label by label, so that whatever is below a name begins with it: `org.example.www`.
pub(crate) fn search_key(name: &Identifier) -> String {
    match name {
        Identifier::Dns(name) => from_its_end(name.as_str()),
        Identifier::Wildcard(below) => format!("{}.*", from_its_end(below.as_str())),
        Identifier::Ip(address) => address.to_string(),
    }
}

fn from_its_end(name: &str) -> String {
    let labels: Vec<&str> = name.rsplit('.').collect();
    labels.join(".")
}

#[derive(Serialize, Deserialize)]
struct CurrentDocument {
    version: VersionId,
    upstream: UpstreamName,
    cert_id: Option<String>,
    serial: String,
    names: Vec<Identifier>,
    not_before: bson::DateTime,
    not_after: bson::DateTime,
    advice: Option<AdviceDocument>,
    ask_at: bson::DateTime,
}

#[derive(Serialize, Deserialize)]
struct AdviceDocument {
    start: bson::DateTime,
    end: bson::DateTime,
    moment: bson::DateTime,
    explanation_url: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
enum CourseDocument {
    Resting,
    Placing {
        #[serde(flatten)]
        attempt: AttemptDocument,
    },
    Ordered {
        #[serde(flatten)]
        attempt: AttemptDocument,
        order: String,
    },
}

#[derive(Serialize, Deserialize)]
struct AttemptDocument {
    reason: Reason,
    upstream: UpstreamName,
    version: VersionId,
    since: bson::DateTime,
    says_replaces: bool,
}

#[derive(Serialize, Deserialize)]
struct SetbackDocument {
    failures: u32,
    #[serde(default)]
    put_off: u32,
    why: String,
    retry_at: bson::DateTime,
}

impl From<&Current> for CurrentDocument {
    fn from(current: &Current) -> Self {
        Self {
            version: current.version,
            upstream: current.upstream.clone(),
            cert_id: current.cert_id.clone(),
            serial: current.serial.clone(),
            names: current.names.clone(),
            not_before: to_bson_time(current.not_before),
            not_after: to_bson_time(current.not_after),
            advice: current.advice.as_ref().map(|advice| AdviceDocument {
                start: to_bson_time(advice.window.start()),
                end: to_bson_time(advice.window.end()),
                moment: to_bson_time(advice.moment),
                explanation_url: advice.explanation_url.clone(),
            }),
            ask_at: to_bson_time(current.ask_at),
        }
    }
}

impl CurrentDocument {
    fn read(self) -> Result<Current, String> {
        Ok(Current {
            version: self.version,
            upstream: self.upstream,
            cert_id: self.cert_id,
            serial: self.serial,
            names: self.names,
            not_before: from_bson_time(self.not_before),
            not_after: from_bson_time(self.not_after),
            advice: self.advice.map(AdviceDocument::read).transpose()?,
            ask_at: from_bson_time(self.ask_at),
        })
    }
}

impl AdviceDocument {
    fn read(self) -> Result<Advice, String> {
        let (start, end) = (from_bson_time(self.start), from_bson_time(self.end));
        let window = RenewalWindow::new(start, end);
        Ok(Advice {
            window: window.ok_or("current.advice: it ends before it begins")?,
            moment: from_bson_time(self.moment),
            explanation_url: self.explanation_url,
        })
    }
}

impl From<&Attempt> for AttemptDocument {
    fn from(attempt: &Attempt) -> Self {
        Self {
            reason: attempt.reason,
            upstream: attempt.upstream.clone(),
            version: attempt.version,
            since: to_bson_time(attempt.since),
            says_replaces: attempt.says_replaces,
        }
    }
}

impl From<AttemptDocument> for Attempt {
    fn from(document: AttemptDocument) -> Self {
        Self {
            reason: document.reason,
            upstream: document.upstream,
            version: document.version,
            since: from_bson_time(document.since),
            says_replaces: document.says_replaces,
        }
    }
}

impl From<&Course> for CourseDocument {
    fn from(course: &Course) -> Self {
        match course {
            Course::Resting => Self::Resting,
            Course::Placing(attempt) => Self::Placing {
                attempt: attempt.into(),
            },
            Course::Ordered { attempt, order } => Self::Ordered {
                attempt: attempt.into(),
                order: order.clone(),
            },
        }
    }
}

impl From<CourseDocument> for Course {
    fn from(document: CourseDocument) -> Self {
        match document {
            CourseDocument::Resting => Self::Resting,
            CourseDocument::Placing { attempt } => Self::Placing(attempt.into()),
            CourseDocument::Ordered { attempt, order } => Self::Ordered {
                attempt: attempt.into(),
                order,
            },
        }
    }
}

impl Stored for Managed {
    const COLLECTION: &'static str = collections::MANAGED;
    type Document = ManagedDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> ManagedDocument {
        ManagedDocument {
            id: self.id,
            project: self.project.clone(),
            names: self.names.clone(),
            search: self.names.iter().map(search_key).collect(),
            upstreams: self.upstreams.clone(),
            current: self.current.as_ref().map(CurrentDocument::from),
            course: CourseDocument::from(&self.course),
            setback: self.setback.as_ref().map(|setback| SetbackDocument {
                failures: setback.failures,
                put_off: setback.put_off,
                why: setback.why.clone(),
                retry_at: to_bson_time(setback.retry_at),
            }),
            spare: self.spare,
            forced: self.forced,
            next_at: to_bson_time(self.next_at),
            notice_at: self.notice_at.map(to_bson_time),
            round: self.round,
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: ManagedDocument) -> Result<Self, String> {
        if document.upstreams.is_empty() {
            return Err("upstreams: at least one is due".to_owned());
        }
        Ok(Self {
            id: document.id,
            project: document.project,
            names: document.names,
            upstreams: document.upstreams,
            current: document.current.map(CurrentDocument::read).transpose()?,
            course: document.course.into(),
            setback: document.setback.map(|setback| Setback {
                failures: setback.failures,
                put_off: setback.put_off,
                why: setback.why,
                retry_at: from_bson_time(setback.retry_at),
            }),
            spare: document.spare,
            forced: document.forced,
            next_at: from_bson_time(document.next_at),
            notice_at: document.notice_at.map(from_bson_time),
            round: document.round,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct VersionDocument {
    #[serde(rename = "_id")]
    id: VersionId,
    managed: ManagedId,
    upstream: UpstreamName,
    chain: String,
    not_before: bson::DateTime,
    not_after: bson::DateTime,
    created_at: bson::DateTime,
}

impl Stored for Version {
    const COLLECTION: &'static str = collections::VERSIONS;
    type Document = VersionDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    /// It never changes.
    fn version(&self) -> i64 {
        0
    }

    fn to_document(&self, _: i64) -> VersionDocument {
        VersionDocument {
            id: self.id,
            managed: self.managed,
            upstream: self.upstream.clone(),
            chain: self.chain.clone(),
            not_before: to_bson_time(self.not_before),
            not_after: to_bson_time(self.not_after),
            created_at: to_bson_time(self.created_at),
        }
    }

    fn from_document(document: VersionDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            managed: document.managed,
            upstream: document.upstream,
            chain: document.chain,
            not_before: from_bson_time(document.not_before),
            not_after: from_bson_time(document.not_after),
            created_at: from_bson_time(document.created_at),
        })
    }
}
