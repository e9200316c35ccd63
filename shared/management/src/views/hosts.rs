use certfleet_domain::{Agent, AgentState, Target, TargetFile};
use certfleet_storage::Sighting;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A host's agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentView {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// `invited`, `enrolled` or `expired`.
    pub status: &'static str,
    /// The certificate that it shows, as its SHA-256 digest.
    pub fingerprint: Option<String>,
    /// Until when its certificate, or its invitation, is good.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// When it was heard of last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub heard_of_at: Option<OffsetDateTime>,
    /// Which build of it that was.
    pub software: Option<String>,
}

impl AgentView {
    /// The view of one, as it was seen last.
    pub fn of(agent: &Agent, sighting: Option<Sighting>, now: OffsetDateTime) -> Self {
        let (status, fingerprint, until) = match &agent.state {
            AgentState::Invited { until, .. } => ("invited", None, *until),
            AgentState::Enrolled { certificate, .. } => {
                let fingerprint = Some(certificate.fingerprint.to_string());
                ("enrolled", fingerprint, certificate.not_after)
            }
        };
        let (heard_of_at, software) = sighting.map_or((None, None), |sighting| {
            (Some(sighting.at), Some(sighting.software))
        });
        Self {
            name: agent.name.to_string(),
            project: agent.project.to_string(),
            status: if until <= now { "expired" } else { status },
            fingerprint,
            until,
            heard_of_at,
            software,
        }
    }
}

/// A file of a target.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = File)]
pub struct FileView {
    /// Where it lies.
    pub path: String,
    /// What is in it: `chain`, `key` or `chainAndKey`.
    pub content: &'static str,
    /// Its permission bits, in octal.
    pub mode: String,
    /// Whose it is; without it, the agent's.
    pub owner: Option<String>,
}

impl From<&TargetFile> for FileView {
    fn from(file: &TargetFile) -> Self {
        Self {
            path: file.path.to_string(),
            content: file.content.name(),
            mode: format!("{:o}", file.mode),
            owner: file.owner.clone(),
        }
    }
}

/// A place that certificates are delivered to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Target)]
pub struct TargetView {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// On whose host.
    pub agent: String,
    /// What is written there.
    pub files: Vec<FileView>,
    /// What is run once when files have changed, by its name in the agent's settings.
    pub run: Option<String>,
    /// Where the host serves the certificate.
    pub probe: Option<String>,
}

impl From<&Target> for TargetView {
    fn from(target: &Target) -> Self {
        Self {
            name: target.name.to_string(),
            project: target.project.to_string(),
            agent: target.agent.to_string(),
            files: target.files.iter().map(FileView::from).collect(),
            run: target.reload.as_ref().map(ToString::to_string),
            probe: target.probe.as_ref().map(ToString::to_string),
        }
    }
}
