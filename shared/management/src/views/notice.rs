use certfleet_domain::Notice;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Something that people are to be told, or were.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notice)]
pub struct NoticeView {
    /// What it is known by.
    pub id: String,
    /// `expiry`, `failure`, `drift` or `test`.
    pub topic: &'static str,
    /// Whose it is.
    pub project: String,
    /// Which managed certificate, if it is about one.
    pub certificate: Option<String>,
    /// In one line.
    pub subject: String,
    /// More of it.
    pub text: String,
    /// `waiting`, `told`, `recorded` where nobody has set up a channel, or `givenUp`.
    pub status: &'static str,
    /// By what it was told: `mail`, `webhook`.
    pub told: Vec<String>,
    /// When it is to be tried next.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_at: Option<OffsetDateTime>,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// When it was found.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<&Notice> for NoticeView {
    fn from(notice: &Notice) -> Self {
        Self {
            id: notice.id.clone(),
            topic: notice.topic.name(),
            project: notice.project.to_string(),
            certificate: notice.managed.map(|managed| managed.to_string()),
            subject: notice.subject.clone(),
            text: notice.text.clone(),
            status: notice.status(),
            told: super::texts(&notice.told),
            next_at: notice.next_at,
            trouble: notice.trouble.clone(),
            created_at: notice.created_at,
        }
    }
}
