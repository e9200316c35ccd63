use certfleet_domain::{ApiToken, Grant, Project, Scope};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
pub struct ProjectView {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub title: Option<String>,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<&Project> for ProjectView {
    fn from(project: &Project) -> Self {
        Self {
            name: project.name.to_string(),
            title: project.title.clone(),
            created_at: project.created_at,
        }
    }
}

/// A role, where it counts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantView {
    /// `viewer`, `auditor`, `operator` or `admin`.
    pub role: &'static str,
    /// In this project alone; without it, everywhere.
    pub project: Option<String>,
}

impl From<&Grant> for GrantView {
    fn from(grant: &Grant) -> Self {
        Self {
            role: grant.role.name(),
            project: match &grant.scope {
                Scope::Everywhere => None,
                Scope::Project(project) => Some(project.to_string()),
            },
        }
    }
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Whom it is for.
    pub label: String,
    /// `active`, `expired` or `revoked`.
    pub status: &'static str,
    /// What it lets its bearer do.
    pub grants: Vec<GrantView>,
    /// From when on it counts no more.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was used last, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub used_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl TokenView {
    /// The view of one, that was used last then.
    pub fn of(token: &ApiToken, used_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Self {
        Self {
            id: token.id.to_string(),
            label: token.label.clone(),
            status: token.status(now),
            grants: token.grants.iter().map(GrantView::from).collect(),
            expires_at: token.expires_at,
            used_at,
            created_at: token.created_at,
        }
    }
}
