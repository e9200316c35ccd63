use certfleet_domain::{
    Agent, AgentCertificate, AgentName, AgentState, CommandName, Endpoint, Fingerprint, Identifier,
    ManagedId, Placed, Placement, PlacementId, ProjectName, Setback, Slot, Target, TargetFile,
    TargetName, TokenDigest, VersionId,
};
use serde::{Deserialize, Serialize};

use super::{Stored, binary, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct AgentDocument {
    #[serde(rename = "_id")]
    name: AgentName,
    #[serde(default)]
    project: ProjectName,
    invitation: Option<InvitationDocument>,
    certificate: Option<CertificateDocument>,
    next: Option<CertificateDocument>,
    created_at: bson::DateTime,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct InvitationDocument {
    token: bson::Binary,
    until: bson::DateTime,
}

#[derive(Serialize, Deserialize)]
struct CertificateDocument {
    fingerprint: String,
    not_after: bson::DateTime,
}

impl From<&AgentCertificate> for CertificateDocument {
    fn from(certificate: &AgentCertificate) -> Self {
        Self {
            fingerprint: certificate.fingerprint.to_string(),
            not_after: to_bson_time(certificate.not_after),
        }
    }
}

impl CertificateDocument {
    fn read(self, field: &str) -> Result<AgentCertificate, String> {
        let fingerprint: Result<Fingerprint, _> = self.fingerprint.parse();
        Ok(AgentCertificate {
            fingerprint: fingerprint.map_err(|error| format!("{field}.fingerprint: {error}"))?,
            not_after: from_bson_time(self.not_after),
        })
    }
}

impl Stored for Agent {
    const COLLECTION: &'static str = collections::AGENTS;
    type Document = AgentDocument;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> AgentDocument {
        let (invitation, certificate, next) = match &self.state {
            AgentState::Invited { token, until } => {
                let invitation = InvitationDocument {
                    token: binary(token.octets()),
                    until: to_bson_time(*until),
                };
                (Some(invitation), None, None)
            }
            AgentState::Enrolled { certificate, next } => (
                None,
                Some(certificate.into()),
                next.as_ref().map(Into::into),
            ),
        };
        AgentDocument {
            name: self.name.clone(),
            project: self.project.clone(),
            invitation,
            certificate,
            next,
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: AgentDocument) -> Result<Self, String> {
        let state = match (document.invitation, document.certificate) {
            (Some(invitation), None) => {
                let octets: Result<[u8; 32], _> = invitation.token.bytes.try_into();
                AgentState::Invited {
                    token: TokenDigest::new(
                        octets.map_err(|_| "invitation.token: 32 octets are due".to_owned())?,
                    ),
                    until: from_bson_time(invitation.until),
                }
            }
            (None, Some(certificate)) => AgentState::Enrolled {
                certificate: certificate.read("certificate")?,
                next: document.next.map(|next| next.read("next")).transpose()?,
            },
            (Some(_), Some(_)) | (None, None) => {
                return Err("either invitation or certificate is due".to_owned());
            }
        };
        Ok(Self {
            name: document.name,
            project: document.project,
            state,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TargetDocument {
    #[serde(rename = "_id")]
    name: TargetName,
    #[serde(default)]
    project: ProjectName,
    agent: AgentName,
    files: Vec<TargetFile>,
    reload: Option<CommandName>,
    probe: Option<Endpoint>,
    created_at: bson::DateTime,
    version: i64,
}

impl Stored for Target {
    const COLLECTION: &'static str = collections::TARGETS;
    type Document = TargetDocument;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> TargetDocument {
        TargetDocument {
            name: self.name.clone(),
            project: self.project.clone(),
            agent: self.agent.clone(),
            files: self.files.clone(),
            reload: self.reload.clone(),
            probe: self.probe.clone(),
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: TargetDocument) -> Result<Self, String> {
        if document.files.is_empty() {
            return Err("files: at least one is due".to_owned());
        }
        Ok(Self {
            name: document.name,
            project: document.project,
            agent: document.agent,
            files: document.files,
            reload: document.reload,
            probe: document.probe,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PlacementDocument {
    #[serde(rename = "_id")]
    id: PlacementId,
    managed: ManagedId,
    target: TargetName,
    agent: AgentName,
    slot: Slot,
    name: Identifier,
    wanted: Option<VersionId>,
    wanted_at: bson::DateTime,
    placed: Option<PlacedDocument>,
    setback: Option<PlacementSetbackDocument>,
    next_at: Option<bson::DateTime>,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct PlacedDocument {
    version: VersionId,
    at: bson::DateTime,
    seen: bool,
}

#[derive(Serialize, Deserialize)]
struct PlacementSetbackDocument {
    failures: u32,
    why: String,
    retry_at: bson::DateTime,
}

impl Stored for Placement {
    const COLLECTION: &'static str = collections::PLACEMENTS;
    type Document = PlacementDocument;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> PlacementDocument {
        PlacementDocument {
            id: self.id,
            managed: self.managed,
            target: self.target.clone(),
            agent: self.agent.clone(),
            slot: self.slot.clone(),
            name: self.name.clone(),
            wanted: self.wanted,
            wanted_at: to_bson_time(self.wanted_at),
            placed: self.placed.as_ref().map(|placed| PlacedDocument {
                version: placed.version,
                at: to_bson_time(placed.at),
                seen: placed.seen,
            }),
            setback: self
                .setback
                .as_ref()
                .map(|setback| PlacementSetbackDocument {
                    failures: setback.failures,
                    why: setback.why.clone(),
                    retry_at: to_bson_time(setback.retry_at),
                }),
            next_at: self.next_at.map(to_bson_time),
            version,
        }
    }

    fn from_document(document: PlacementDocument) -> Result<Self, String> {
        Ok(Self {
            id: document.id,
            managed: document.managed,
            target: document.target,
            agent: document.agent,
            slot: document.slot,
            name: document.name,
            wanted: document.wanted,
            wanted_at: from_bson_time(document.wanted_at),
            placed: document.placed.map(|placed| Placed {
                version: placed.version,
                at: from_bson_time(placed.at),
                seen: placed.seen,
            }),
            setback: document.setback.map(|setback| Setback {
                failures: setback.failures,
                put_off: 0,
                why: setback.why,
                retry_at: from_bson_time(setback.retry_at),
            }),
            next_at: document.next_at.map(from_bson_time),
            version: document.version,
        })
    }
}
